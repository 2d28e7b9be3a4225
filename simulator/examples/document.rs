//! Writes `docs/simulator.md` to standard output: the route table as the code has it, and what the code calls chosen.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arm_simulator::served::{self, ServedProvider};

/// How a comment marks what no source tells.
const CHOSEN: &str = "Chosen:";

const INTRODUCTION: &str = "\
# The ARM simulator: what is true, what is chosen, what is missing

This page is generated from the simulator's route table and from its code; `make generate` brings it up to date. How the
simulator is run, seeded, switched and watched stands in [its README](../simulator/README.md).

How far an answer can be trusted:

* **True**: paths, methods, statuses and bodies are held to what the column *held to* names. A recording is the real
  service, and is replayed field by field; a specification is Microsoft's OpenAPI file, against which every exchange of
  every test is validated.
* **Switched**: where two behaviours are plausible and no source decides, a setting chooses (the table in the README).
* **Chosen**: where no source says anything, one conservative behaviour is built in. The code says so where it does it,
  and all of it is listed below.
* **Missing**: what Azure has and the simulator has not. A path that is not in the tables is answered with 404
  `InvalidResourceType`.

## Adding a provider

A provider is a module in `simulator/src/providers/` with one constant `PROVIDER` and a line in `ALL`:

1. Its **types**, each a `ResourceType`: what a body must be (`accept`), what follows when it is stored, settled or
   removed, what GET adds (`render`), how each write is announced (`Write`, `Style`), entity tags, the canonical spelling
   of its names. From that description it has GET, list, PUT, PATCH and DELETE.
2. Its **rows**, from the macros `tracked!`, `child!`, `patchable!` and, for private endpoint connections,
   `connectable!`, `connection_list!`, `link_resources!` and `link_resource!`;
   what is unlike the others is a `row(method, path, versions, function)` of its own.
3. Its **dialect** of private endpoint connections, if it has any, in `simulator/src/connections/dialect/`.
4. What it is held to (`source`) and what it lacks (`missing`). A behaviour without a source has a comment that begins
   with \"Chosen:\".
";

fn sources(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// The paragraphs of a file's comments that say what is chosen, each as one line: what the choice is about stands before
/// the word, if the paragraph does not begin with it.
fn chosen(text: &str) -> Vec<String> {
    let mut paragraphs = vec![String::new()];
    for line in text.lines() {
        let comment =
            line.trim().strip_prefix("//").map_or("", |comment| comment.trim_start_matches(['/', '!']).trim());
        match paragraphs.last_mut() {
            Some(open) if !comment.is_empty() => {
                if !open.is_empty() {
                    open.push(' ');
                }
                open.push_str(comment);
            }
            Some(open) if open.is_empty() => {}
            _ => paragraphs.push(String::new()),
        }
    }
    paragraphs.retain(|paragraph| paragraph.contains(CHOSEN));
    paragraphs.iter().map(|paragraph| told(paragraph)).collect()
}

/// A paragraph without the word at its beginning, and with the word made to stand out elsewhere.
fn told(paragraph: &str) -> String {
    let mut letters = paragraph.strip_prefix(CHOSEN).unwrap_or(paragraph).trim_start().chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}", letters.as_str()).replace(CHOSEN, &format!("**{CHOSEN}**"))
}

fn provider(out: &mut impl Write, provider: &ServedProvider) -> io::Result<()> {
    writeln!(out, "\n### {}\n\nHeld to: {}.\n", provider.namespace, provider.source)?;
    writeln!(out, "| path | methods | api-versions |\n|---|---|---|")?;
    for path in &provider.paths {
        writeln!(out, "| `{}` | {} | {} |", path.path, path.methods.join(", "), path.versions.join(", "))?;
    }
    if !provider.missing.is_empty() {
        writeln!(out, "\nMissing:\n")?;
    }
    for sentence in provider.missing {
        writeln!(out, "* {}.", sentence.trim_end_matches('.'))?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    write!(out, "{INTRODUCTION}")?;
    writeln!(out, "\n## Served")?;
    let providers = served::providers();
    writeln!(out, "\n| provider | operations | held to |\n|---|---|---|")?;
    for one in &providers {
        let operations: usize = one.paths.iter().map(|path| path.methods.len()).sum();
        writeln!(out, "| {} | {operations} | {} |", one.namespace, one.source)?;
    }
    for one in &providers {
        provider(&mut out, one)?;
    }
    writeln!(out, "\n## Chosen\n\nBy source file, below `simulator/src/`.")?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files)?;
    files.sort();
    for file in files {
        let sentences = chosen(&fs::read_to_string(&file)?);
        if sentences.is_empty() {
            continue;
        }
        let name = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
        writeln!(out, "\n`{name}`:\n")?;
        for sentence in sentences {
            writeln!(out, "* {sentence}")?;
        }
    }
    Ok(())
}
