//! `xenlet report`.

use super::super::args::ReportArgs;
use super::super::output::{Output, replace, say};
use super::super::{Exit, Failure};
use anyhow::anyhow;
use xenlet::report::{Format, html};

/// Makes a page. The page is the result, so there is nothing for stdout.
pub(in super::super) fn report(args: &ReportArgs, output: &Output) -> Result<Exit, Failure> {
    if output.is_file() || output.format != Format::Table {
        let e = anyhow!("report writes a page to --html: leave --out and --format out");
        return Err(Failure::usage(e));
    }
    Output::new(Format::Table, Some(args.html.clone()))?;
    let inputs = args.reports.iter().map(|path| html::read(path));
    let inputs = inputs.collect::<Result<Vec<_>, _>>();
    let page = html::page(&inputs.map_err(Failure::usage)?).map_err(Failure::usage)?;
    replace(&args.html, &page.html).map_err(Failure::usage)?;
    say(&page.headline);
    Ok(Exit::Done)
}
