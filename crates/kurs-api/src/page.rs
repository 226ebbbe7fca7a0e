//! The web page at `/` and its files.

use crate::answer::{Answer, Asset, Outcome};
use crate::call::Call;
use crate::problem::{Kind, Problem};
use kurs_web::{FILES, File, INDEX};
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) const PICTURE: &str = "image/svg+xml";

/// The files of the page.
#[derive(Debug)]
pub(crate) struct Page {
    files: Vec<(&'static File, Arc<Asset>)>,
    /// Where they are read from instead, by those who work on them.
    folder: Option<PathBuf>,
}

impl Page {
    /// The files of the program, or those of the same names in a folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        let files = FILES
            .iter()
            .map(|file| (file, Asset::new(file.served().into_owned(), file.media)));
        Self {
            files: files.collect(),
            folder,
        }
    }

    /// Only what is on the list can be asked for, whatever else is in the folder.
    fn answer(&self, name: &str) -> Outcome {
        let found = self.files.iter().find(|(file, _)| file.name == name);
        let (file, asset) = found
            .ok_or_else(|| Problem::new(Kind::UnknownRoute, "the page has no file of this name"))?;
        let Some(folder) = &self.folder else {
            return Ok(Answer::asset(asset));
        };
        // Read anew at each request: whoever sets the folder changes what is in it.
        match std::fs::read(folder.join(file.name)) {
            Ok(bytes) => Ok(Answer::asset(&Asset::new(bytes, file.media))),
            Err(error) => {
                let detail = format!("http.web_dir: {}: {error}", file.name);
                Err(Problem::new(Kind::UnknownRoute, detail))
            }
        }
    }
}

/// `GET /`.
pub(crate) fn home(call: &Call) -> Outcome {
    call.api.page.answer(INDEX)
}

/// `GET /page/{file}`.
pub(crate) fn file(call: &Call) -> Outcome {
    let name = call.arguments.text("file").unwrap_or("");
    call.api.page.answer(name)
}
