//! Feature lists: `a|!b`, where `!` marks those the kernel cannot do without.

use super::ImageError;
use hypercalls::version::FEATURE_NAMES;

/// Names a kernel may ask for that mean nothing to a PV domain (`features.h`): bit numbers.
const OTHER_NAMES: [(&str, u32); 2] = [("hvm_callback_vector", 8), ("dom0", 11)];

/// Features, a bit each as in `xen_version`'s first submap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The kernel can use these.
    pub supported: u32,
    /// The kernel cannot do without these; a subset of `supported`.
    pub required: u32,
}

impl Features {
    /// Adds a FEATURES list. Unknown names are ignored unless required, as Xen does.
    ///
    /// # Errors
    /// If a required one is unknown.
    pub fn add_list(&mut self, list: &str) -> Result<(), ImageError> {
        for item in list.split('|').filter(|item| !item.is_empty()) {
            let (name, required) = match item.strip_prefix('!') {
                Some(name) => (name, true),
                None => (item, false),
            };
            match bit(name) {
                Some(bit) => {
                    self.supported |= bit;
                    self.required |= if required { bit } else { 0 };
                }
                None if required => return Err(ImageError::UnknownFeature(name.to_owned())),
                None => {}
            }
        }
        Ok(())
    }
}

fn bit(name: &str) -> Option<u32> {
    let mut known = FEATURE_NAMES.iter().chain(&OTHER_NAMES);
    known.find(|(n, _)| *n == name).map(|(_, bit)| 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_add_up_and_only_a_required_stranger_fails() {
        let mut f = Features::default();
        f.add_list("!writable_page_tables|pae_pgdir_above_4gb||brand_new")
            .expect("known");
        assert_eq!((f.supported, f.required), (1 | 1 << 4, 1));
        f.add_list("dom0").expect("known");
        assert_eq!(f.supported, 1 | 1 << 4 | 1 << 11);
        assert_eq!(
            f.add_list("dom0|!brand_new"),
            Err(ImageError::UnknownFeature("brand_new".into()))
        );
    }
}
