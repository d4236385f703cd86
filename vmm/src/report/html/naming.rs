//! What the page calls a kernel: by the image, or else by its release, and by the file where two
//! would have one name.

use super::subject::Kernel;
use std::path::Path;

/// Gives each kernel a name of its own.
pub(super) fn name(kernels: &mut [Kernel<'_>]) {
    let plain: Vec<String> = kernels.iter().map(plain).collect();
    for (i, kernel) in kernels.iter_mut().enumerate() {
        let alone = plain.iter().filter(|name| **name == plain[i]).count() == 1;
        kernel.name = match alone {
            true => plain[i].clone(),
            false => stem(kernel.file),
        };
    }
    let names: Vec<String> = kernels.iter().map(|k| k.name.clone()).collect();
    for (i, kernel) in kernels.iter_mut().enumerate() {
        if names.iter().filter(|name| **name == names[i]).count() > 1 {
            kernel.name = kernel.file.to_owned();
        }
    }
}

fn plain(kernel: &Kernel<'_>) -> String {
    let of = &kernel.report.kernel;
    match &of.image {
        Some(image) => image.clone(),
        None if of.release.is_empty() => stem(kernel.file),
        None => of.release.clone(),
    }
}

/// `b` of `a/b.json`.
fn stem(file: &str) -> String {
    let stem = Path::new(file).file_stem();
    stem.map_or(file.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
