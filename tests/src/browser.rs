//! A headless Chromium that opens a page and says what it sees. Comes in: a page, how it is to be
//! looked at, and a script that looks; goes out: what the script found, as JSON.

use crate::runner::Skip;
use crate::scratch::{Scratch, text};
use serde_json::Value;
use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The names it goes by.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
/// It takes a second or two; a loaded machine takes longer.
const SECONDS: &str = "240";
/// It neither leaves anything behind nor goes anywhere.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=10000",
];

/// A browser.
#[derive(Debug)]
pub struct Browser(PathBuf);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The window's width in CSS pixels.
    pub width: u32,
    /// Whether dark pages are preferred.
    pub dark: bool,
}

impl Browser {
    /// The one that is installed. One that is must work: whatever fails then is a failure.
    ///
    /// # Errors
    /// If there is none.
    pub fn here() -> Result<Browser, Skip> {
        let path = env::var_os("PATH").unwrap_or_default();
        let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
        let mut files = NAMES
            .iter()
            .flat_map(|name| dirs.iter().map(move |d| d.join(name)));
        let found = files.find(|file| file.is_file());
        found
            .map(Browser)
            .ok_or_else(|| Skip("no chromium".to_owned()))
    }

    /// Opens `page` and runs `script`, an expression, in it.
    ///
    /// # Panics
    /// If the browser fails, or the script.
    pub fn sees(&self, page: &str, look: Look, script: &str) -> Value {
        let dir = Scratch::new();
        dir.file("page.html", with_script(page, script).as_bytes());
        let frame = dir.file("frame.html", frame(look.width).as_bytes());
        let dom = self.dom(&dir, &frame, look.dark);
        let found = dom.split("<output>").nth(1);
        let found = found.and_then(|rest| rest.split("</output>").next());
        let found = found.unwrap_or_else(|| panic!("the script said nothing: {dom}"));
        serde_json::from_str(found).unwrap_or_else(|e| panic!("{e}: {found}"))
    }

    fn dom(&self, dir: &Scratch, file: &str, dark: bool) -> String {
        let ran = Command::new("timeout")
            .args(["-s", "KILL", SECONDS])
            .arg(&self.0)
            .args(FLAGS)
            .args(dark.then_some("--blink-settings=preferredColorScheme=0"))
            .arg(format!("--user-data-dir={}", text(&dir.path("profile"))))
            .args(["--dump-dom", &format!("file://{file}")])
            .output();
        let ran = ran.unwrap_or_else(|e| panic!("{}: {e}", self.0.display()));
        let err = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{:?}: {err}", ran.status);
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

/// The page as it is, but for its ban on scripts, and one that tells the frame what it sees.
fn with_script(page: &str, script: &str) -> String {
    let allowed = page.replacen("Content-Security-Policy", "", 1);
    assert_ne!(allowed, page, "the page bans scripts");
    format!(
        "{allowed}<script>addEventListener('load', () => {{
            let seen; try {{ seen = ({script}); }} catch (e) {{ seen = {{error: String(e)}}; }}
            parent.postMessage(JSON.stringify(seen), '*');
        }});</script>"
    )
}

/// A window cannot be as narrow as a phone, a frame can. What arrives is written into the
/// document, without what the document's own text would need to escape.
fn frame(width: u32) -> String {
    format!(
        "<!doctype html><script>addEventListener('message', (e) => {{
            const seen = document.createElement('output');
            seen.textContent = e.data.replace(/[^ -~]|[<>&]/g,
                (c) => '\\\\u' + c.charCodeAt(0).toString(16).padStart(4, '0'));
            document.body.append(seen);
        }});</script><body><iframe src=page.html style='width:{width}px;height:900px;border:0'>\
         </iframe>"
    )
}
