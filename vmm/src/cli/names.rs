//! Workloads, policies and a kernel's operations by name. A name nobody knows is answered with those near it.

use thiserror::Error;

/// A workload, a policy or an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// Its name.
    pub(super) name: &'static str,
    /// The kernel function or API generation it models; what of a kernel it exercises.
    pub(super) models: &'static str,
}

/// Every workload, in the order of the table.
pub(super) fn workloads() -> Vec<Named> {
    let named = |w: &guest::WorkloadInfo| Named {
        name: w.name,
        models: w.models,
    };
    guest::workloads().iter().map(named).collect()
}

/// Every policy, in the order of the table.
pub(super) fn policies() -> Vec<Named> {
    let named = |p: &guest::PolicyInfo| Named {
        name: p.name,
        models: p.models,
    };
    guest::policies().iter().map(named).collect()
}

/// Every operation a kernel is measured by, in the order they are performed.
pub(super) fn operations() -> Vec<Named> {
    let named = |o: hypercalls::Performed| Named {
        name: o.name(),
        models: o.exercises(),
    };
    hypercalls::Performed::ALL.map(named).to_vec()
}

/// Every deliberate fault of the guest.
#[cfg(feature = "mutants")]
pub(super) fn mutants() -> Vec<Named> {
    let named = |m: &guest::Mutant| Named {
        name: m.name,
        models: m.bug,
    };
    guest::mutants().iter().map(named).collect()
}

/// A name that nothing has.
#[derive(Debug, PartialEq, Eq, Error)]
#[error(
    "unknown {kind} {name:?}{} (`xenlet list` shows all)",
    did_you_mean(near)
)]
pub(super) struct Unknown {
    kind: &'static str,
    name: String,
    near: Vec<&'static str>,
}

fn did_you_mean(near: &[&str]) -> String {
    match near {
        [] => String::new(),
        near => format!(", did you mean {}?", near.join(" or ")),
    }
}

/// Those of `all` that are wanted, in the table's order and none twice; all if none is named.
pub(super) fn chosen(
    kind: &'static str,
    wanted: &[String],
    all: &[Named],
) -> Result<Vec<String>, Unknown> {
    for name in wanted {
        if !all.iter().any(|known| known.name == name) {
            let (name, near) = (name.clone(), near(name, all));
            return Err(Unknown { kind, name, near });
        }
    }
    let is_wanted = |known: &&Named| wanted.is_empty() || wanted.iter().any(|w| w == known.name);
    Ok(all
        .iter()
        .filter(is_wanted)
        .map(|known| known.name.to_owned())
        .collect())
}

/// At most three names that look or sound like it, the nearest first.
fn near(name: &str, all: &[Named]) -> Vec<&'static str> {
    let mut scored: Vec<(f64, &'static str)> = all
        .iter()
        .map(|known| (likeness(name, known.name), known.name))
        .filter(|(score, _)| *score > 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

fn likeness(name: &str, known: &str) -> f64 {
    let (name, known) = (
        name.to_lowercase().replace('-', "_"),
        known.replace('-', "_"),
    );
    let part = name.len() > 2 && known.contains(&name);
    let alike = strsim::normalized_damerau_levenshtein(&name, &known);
    let begins = strsim::jaro_winkler(&name, &known) - 0.1;
    alike.max(begins).max(if part { 0.9 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn none_is_all_and_the_order_is_the_tables() {
        let all = policies();
        assert_eq!(chosen("policy", &[], &all).map(|p| p.len()), Ok(all.len()));
        let two = chosen("policy", &wanted(&["generic", "eager", "generic"]), &all);
        assert_eq!(two, Ok(wanted(&["eager", "generic"])));
    }

    #[test]
    fn a_stranger_gets_the_near_names() {
        let e = chosen("workload", &wanted(&["mprotec"]), &workloads()).expect_err("unknown");
        assert_eq!(
            e.to_string(),
            "unknown workload \"mprotec\", did you mean mprotect or mprotect_dirty? (`xenlet list` \
             shows all)"
        );
        let e = chosen("policy", &wanted(&["generic7.2"]), &policies()).expect_err("unknown");
        assert_eq!(e.near.first(), Some(&"generic-7.2"), "{e}");
        let e = chosen("policy", &wanted(&["qqq"]), &policies()).expect_err("unknown");
        assert_eq!(
            e.to_string(),
            "unknown policy \"qqq\" (`xenlet list` shows all)"
        );
    }
}
