//! What a domain finds in its store, as Xen's tools put it there.

use super::perms::Perms;
use super::tree::Tree;
use hypercalls::DomId;

/// What the store tells a domain about itself.
#[derive(Clone, Debug)]
pub struct Home {
    /// Its number.
    pub domid: DomId,
    /// Its vCPUs.
    pub cpus: usize,
    /// Its memory.
    pub mem_kib: u64,
    /// The console ring's frame and port.
    pub console: (u64, u32),
    /// The store ring's frame and port.
    pub store: (u64, u32),
}

/// Directories that are the domain's own to change.
const OWN: [&str; 6] = ["attr", "control", "data", "device", "drivers", "feature"];
/// The domain's identity; there is one domain.
const UUID: &str = "00000000-0000-4000-8000-000000000001";

impl Home {
    /// The domain's directory.
    pub(super) fn path(&self) -> String {
        path_of(self.domid)
    }

    /// The tree at the beginning.
    pub(super) fn tree(&self) -> Tree {
        let (mut tree, home) = (Tree::new(), self.path());
        let vm = format!("/vm/{UUID}");
        let perms = || Perms::owned(0, b'n').and(self.domid, b'r');
        let mut put = |path: &str, value: &str, perms: Perms| {
            // Few and small: the quotas are far away.
            let _ = tree.write(path, value.as_bytes(), 0);
            let _ = tree.set_perms(path, perms, 0);
        };
        for top in ["/local", "/local/domain", "/vm", "/tool", "/tool/xenstored"] {
            put(top, "", Perms::owned(0, b'r'));
        }
        put(&vm, "", perms());
        put(&format!("{vm}/name"), "guest", perms());
        put(&format!("{vm}/uuid"), UUID, perms());
        put(&home, "", perms());
        for (name, value) in self.values(&vm) {
            let path = format!("{home}/{name}");
            for above in ancestors(&path, &home) {
                put(above, "", perms());
            }
            put(&path, &value, perms());
        }
        for name in OWN {
            put(
                &format!("{home}/{name}"),
                "",
                Perms::owned(self.domid, b'n'),
            );
        }
        tree
    }

    fn values(&self, vm: &str) -> Vec<(String, String)> {
        let fixed = [
            ("name", "guest".to_owned()),
            ("domid", self.domid.to_string()),
            ("vm", vm.to_owned()),
            ("memory/static-max", self.mem_kib.to_string()),
            ("memory/target", self.mem_kib.to_string()),
            ("console/ring-ref", self.console.0.to_string()),
            ("console/port", self.console.1.to_string()),
            ("console/type", "xenconsoled".to_owned()),
            ("store/ring-ref", self.store.0.to_string()),
            ("store/port", self.store.1.to_string()),
        ];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value));
        let cpu = |i| (format!("cpu/{i}/availability"), "online".to_owned());
        fixed.into_iter().chain((0..self.cpus).map(cpu)).collect()
    }
}

/// A domain's directory.
pub(super) fn path_of(domid: DomId) -> String {
    format!("/local/domain/{domid}")
}

/// The nodes between `top` and `path`, from the top.
fn ancestors<'a>(path: &'a str, top: &str) -> Vec<&'a str> {
    let from = top.len() + 1;
    let slashes = path[from..].match_indices('/');
    slashes.map(|(at, _)| &path[..from + at]).collect()
}
