//! The guest's probes on a host: what our hypervisor answers there, beside real Xen.

use crate::xen::{Comparison, RECORDED, answers, verdicts};

/// `N/N`, or what differs.
pub(super) fn judge(console: &[u8]) -> Result<String, String> {
    let recorded = verdicts(RECORDED);
    let found = verdicts(&String::from_utf8_lossy(console));
    let compared = Comparison::new("the host", &found, &answers(&recorded));
    for difference in &compared.differences {
        println!("difference: {difference}");
    }
    match compared.differences.len() {
        0 => Ok(format!("{0}/{0}", compared.rows)),
        wrong => Err(format!(
            "truth table: {wrong} of {} answers differ",
            compared.rows
        )),
    }
}
