//! The machine's own package sources: where its Debian mirror is and which keys sign it.
//!
//! In: the text of apt's source files, one-line or deb822. Out: the [`Mirror`] to ask for other
//! suites of the same archive. No address is known here.

/// Suites that only Debian's main archive has; the security archive's are not among them.
const DEBIAN: [&str; 8] = [
    "bookworm",
    "trixie",
    "forky",
    "sid",
    "stable",
    "oldstable",
    "testing",
    "unstable",
];

/// A mirror of Debian's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mirror {
    /// The address, as the machine's configuration has it.
    pub(super) uri: String,
    /// The value of `Signed-By`: a path, fingerprints, or a folded key; empty for apt's default.
    pub(super) signed_by: String,
}

/// The first Debian mirror in a `.list` file.
pub(super) fn one_line(text: &str) -> Option<Mirror> {
    text.lines().find_map(one_line_entry)
}

fn one_line_entry(line: &str) -> Option<Mirror> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    let main = words.any(|component| component == "main");
    let signed_by = options
        .split_whitespace()
        .find_map(|o| o.strip_prefix("signed-by="));
    (main && is_debian(suite)).then(|| Mirror {
        uri: uri.to_owned(),
        signed_by: signed_by.unwrap_or("").to_owned(),
    })
}

/// The first Debian mirror in a `.sources` file.
pub(super) fn deb822(text: &str) -> Option<Mirror> {
    let uncommented: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    uncommented
        .split(|line| line.trim().is_empty())
        .find_map(stanza)
}

fn stanza(lines: &[&str]) -> Option<Mirror> {
    let has = |name, wanted: &dyn Fn(&str) -> bool| {
        field(lines, name).is_some_and(|value| value.split_whitespace().any(wanted))
    };
    let off = has("Enabled", &|word| word.eq_ignore_ascii_case("no"));
    let usable = has("Types", &|word| word == "deb")
        && has("Components", &|word| word == "main")
        && has("Suites", &is_debian);
    if off || !usable {
        return None;
    }
    let uri = field(lines, "URIs")?.split_whitespace().next()?.to_owned();
    Some(Mirror {
        uri,
        signed_by: field(lines, "Signed-By").unwrap_or_default(),
    })
}

/// A field's value, its folded lines included as they are.
fn field(lines: &[&str], name: &str) -> Option<String> {
    let is_it = |line: &&str| {
        line.split_once(':')
            .is_some_and(|(key, _)| key.trim().eq_ignore_ascii_case(name))
    };
    let start = lines.iter().position(is_it)?;
    let mut value = lines[start].split_once(':')?.1.trim().to_owned();
    for line in lines[start + 1..]
        .iter()
        .take_while(|line| line.starts_with([' ', '\t']))
    {
        value.push('\n');
        value.push_str(line);
    }
    Some(value)
}

fn is_debian(suite: &str) -> bool {
    let base = suite
        .trim_end_matches("-updates")
        .trim_end_matches("-backports");
    DEBIAN.contains(&base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirror(uri: &str, signed_by: &str) -> Option<Mirror> {
        Some(Mirror {
            uri: uri.to_owned(),
            signed_by: signed_by.to_owned(),
        })
    }

    #[test]
    fn one_line_with_and_without_options() {
        let text = "# deb http://no.invalid/x bookworm main\n\
                    deb-src http://no.invalid/x bookworm main\n\
                    deb http://no.invalid/security bookworm-security main\n\
                    deb [arch=amd64 signed-by=/keys/a.gpg] http://a.invalid/d trixie-updates main contrib\n";
        assert_eq!(one_line(text), mirror("http://a.invalid/d", "/keys/a.gpg"));
        assert_eq!(
            one_line("deb http://b.invalid/d/ sid main"),
            mirror("http://b.invalid/d/", "")
        );
        assert_eq!(
            one_line("deb http://b.invalid/d/ noble main universe"),
            None
        );
        assert_eq!(one_line("deb [unclosed http://b.invalid/ sid main"), None);
    }

    #[test]
    fn deb822_takes_the_first_stanza_that_is_the_main_archive() {
        let text = "Types: deb\nURIs: http://no.invalid/s\nSuites: bookworm-security\nComponents: main\n\n\
                    # comment\nTypes: deb deb-src\nURIs: http://a.invalid/d http://b.invalid/d\n\
                    Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /keys/a.gpg\n";
        assert_eq!(deb822(text), mirror("http://a.invalid/d", "/keys/a.gpg"));
    }

    #[test]
    fn deb822_keeps_a_folded_key_and_skips_what_is_off() {
        let text = "Enabled: no\nTypes: deb\nURIs: http://no.invalid/\nSuites: sid\nComponents: main\n\n\
                    Types: deb\nURIs: http://a.invalid/\nSuites: sid\nComponents: main\nSigned-By:\n BEGIN\n .\n END\n";
        assert_eq!(
            deb822(text),
            mirror("http://a.invalid/", "\n BEGIN\n .\n END")
        );
    }
}
