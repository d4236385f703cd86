//! `xenlet images`: what there is and what is here, and fetching.

use super::super::args::ImagesCommand;
use super::super::output::{Output, say};
use super::super::{Exit, Failure};
use serde::Serialize;
use xenlet::images::{Cache, Recipe, fetch, find, recipes};
use xenlet::initramfs::fetch_parts;
use xenlet::report::{Format, json};

/// One image.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    summary: String,
    package: String,
    /// The version that is here.
    version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Images {
    schema: &'static str,
    images: Vec<Line>,
}

pub(in super::super) fn images(command: ImagesCommand, output: &Output) -> Result<Exit, Failure> {
    output.no_ktap("images")?;
    let cache = Cache::of_user().map_err(|e| Failure::new(Exit::Host, e))?;
    let wanted = match command {
        ImagesCommand::List => recipes(),
        ImagesCommand::Fetch(args) => fetch_all(&cache, &args.names)?,
    };
    let images = Images {
        schema: "xenlet.images/1",
        images: wanted.into_iter().map(|r| line(&cache, r)).collect(),
    };
    output.write(&match output.format {
        Format::Json => json(&images),
        Format::Csv => images.csv(),
        Format::Table | Format::Ktap | Format::Markdown => images.table(),
    })?;
    Ok(Exit::Done)
}

/// Fetches each, and what it boots with; names are checked before anything is fetched.
fn fetch_all(cache: &Cache, names: &[String]) -> Result<Vec<Recipe>, Failure> {
    let found: Result<Vec<Recipe>, _> = names.iter().map(|name| find(name)).collect();
    let found = found.map_err(Failure::usage)?;
    let progress = &mut |what: &str| say(what);
    for recipe in &found {
        fetch(cache, &recipe.name, &recipe.package, progress)
            .map_err(|e| Failure::new(Exit::Host, e))?;
    }
    if found.iter().any(|recipe| recipe.initramfs) {
        fetch_parts(cache, progress).map_err(|e| Failure::new(Exit::Host, e))?;
    }
    Ok(found)
}

fn line(cache: &Cache, recipe: Recipe) -> Line {
    let fetched = cache.get(&recipe.name);
    let package = fetched.as_ref().map(|f| f.package.clone());
    Line {
        package: package.unwrap_or(recipe.package.name),
        version: fetched.map(|f| f.version),
        name: recipe.name,
        summary: recipe.summary,
    }
}

impl Images {
    fn table(&self) -> String {
        let width = |of: fn(&Line) -> usize| self.images.iter().map(of).max().unwrap_or(0);
        let (name, version) = (width(|l| l.name.len()), width(|l| l.here().len()));
        let line = |l: &Line| format!("{:name$}  {:version$}  {}\n", l.name, l.here(), l.summary);
        self.images.iter().map(line).collect()
    }

    fn csv(&self) -> String {
        let rows = self.images.iter().map(|l| {
            let summary = l.summary.replace('"', "\"\"");
            let version = l.version.as_deref().unwrap_or_default();
            format!("{},{version},{},\"{summary}\"\n", l.name, l.package)
        });
        "name,version,package,summary\n".to_owned() + &rows.collect::<String>()
    }
}

impl Line {
    fn here(&self) -> &str {
        self.version.as_deref().unwrap_or("not fetched")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_image_has_a_line() {
        let cache = Cache::at("/nonexistent".into());
        let images = Images {
            schema: "",
            images: recipes().into_iter().map(|r| line(&cache, r)).collect(),
        };
        assert_eq!(images.table().lines().count(), recipes().len());
        assert_eq!(images.csv().lines().count(), 1 + recipes().len());
        assert!(
            images
                .table()
                .starts_with("debian-6.1     not fetched  Debian 12")
        );
    }
}
