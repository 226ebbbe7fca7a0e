//! Where in a document something stands, whatever the document is written in.

use super::json::Value;
use super::json_path::{self, JsonPath};
use super::limits::Budget;
use super::tree::Element;
use super::tree_path::{self, TreePath};
use super::wire::{Document, Format};

/// The word for the name a row has itself: of the member in its object, of the element.
pub const OWN_NAME: &str = "name()";

/// A compiled path. Where the format is not known beforehand it may mean something in JSON and
/// in XML and CSV.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    text: String,
    own_name: bool,
    json: Option<JsonPath>,
    tree: Option<TreePath>,
}

/// A part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node<'d> {
    /// Of JSON.
    Json(json_path::Found<'d>),
    /// Of XML or CSV.
    Tree(tree_path::Found<'d>),
    /// The name of a row.
    Name(&'d str),
}

/// Where paths start.
#[derive(Debug, Clone, Copy)]
pub struct Start<'d> {
    /// The whole document.
    pub document: Node<'d>,
    /// The row that is read; the whole document where there are no rows.
    pub row: Node<'d>,
}

impl Place {
    /// Compiles a path for a format, or for all of them.
    ///
    /// # Errors
    /// A phrase for people with the place of the mistake.
    pub fn parse(text: &str, format: Option<Format>) -> Result<Self, String> {
        let own_name = text == OWN_NAME;
        let (json, tree) = (JsonPath::parse(text), TreePath::parse(text));
        let quoted = format!("{text:?}");
        match (format, &json, &tree) {
            _ if own_name => {}
            (Some(Format::Json), Err(error), _) => return Err(format!("{quoted} {error}")),
            (Some(Format::Xml | Format::Csv), _, Err(error)) => {
                return Err(format!("{quoted} {error}"));
            }
            (None, Err(json), Err(tree)) if json == tree => {
                return Err(format!("{quoted} {json}"));
            }
            (None, Err(json), Err(tree)) => {
                return Err(format!(
                    "{quoted} means nothing: in JSON {json}; in XML and CSV {tree}"
                ));
            }
            _ => {}
        }
        Ok(Self {
            text: text.to_owned(),
            own_name,
            json: json.ok().filter(|_| !own_name),
            tree: tree.ok().filter(|_| !own_name),
        })
    }

    /// Everything the path leads to.
    ///
    /// # Errors
    /// A phrase for people when the path is for another format, or searches too much.
    pub fn all<'d>(&self, start: Start<'d>, budget: &Budget) -> Result<Vec<Node<'d>>, String> {
        if self.own_name {
            return Ok(start.row.name().map(Node::Name).into_iter().collect());
        }
        let from = |from_document: bool| {
            if from_document {
                start.document
            } else {
                start.row
            }
        };
        let found = match start.document {
            Node::Json(_) => {
                let path = self.json.as_ref();
                let path = path.ok_or_else(|| format!("{:?} is no path in JSON", self.text))?;
                let Node::Json(start) = from(path.from_document) else {
                    return Ok(Vec::new());
                };
                let found = path.find(start, budget);
                found.map(|found| found.into_iter().map(Node::Json).collect())
            }
            Node::Tree(_) | Node::Name(_) => {
                let path = self.tree.as_ref();
                let path =
                    path.ok_or_else(|| format!("{:?} is no path in XML or CSV", self.text))?;
                let start = from(path.from_document);
                let Node::Tree(tree_path::Found::Element(element)) = start else {
                    // A row that is an attribute or a name holds nothing but itself.
                    return Ok(if self.text == "." {
                        vec![start]
                    } else {
                        Vec::new()
                    });
                };
                let found = path.find(element, budget);
                found.map(|found| found.into_iter().map(Node::Tree).collect())
            }
        };
        found.map_err(|error| error.to_string())
    }

    /// The one thing the path leads to.
    ///
    /// # Errors
    /// A phrase for people when it leads to nothing, or to several things.
    pub fn one<'d>(&self, start: Start<'d>, budget: &Budget) -> Result<Node<'d>, String> {
        match self.all(start, budget)?.as_slice() {
            [only] => Ok(*only),
            [] => Err(format!("nothing at {}", self.text)),
            several => Err(format!("{} values at {}", several.len(), self.text)),
        }
    }

    /// The text at the one thing the path leads to.
    ///
    /// # Errors
    /// As [`one`](Self::one), and when that is no text.
    pub fn text<'d>(&self, start: Start<'d>, budget: &Budget) -> Result<Text<'d>, String> {
        let node = self.one(start, budget)?;
        node.text()
            .map_err(|what| format!("{what} at {}", self.text))
    }
}

/// A text from a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'d> {
    /// The letters.
    pub text: &'d str,
    /// True for a number of JSON, which is written in one way everywhere.
    pub is_json_number: bool,
}

impl<'d> Node<'d> {
    /// The whole of a document.
    #[must_use]
    pub const fn of(document: &'d Document<'d>) -> Self {
        match document {
            Document::Json(value) => Self::Json(json_path::Found::of(value)),
            Document::Xml(element) | Document::Csv(element) => {
                Self::Tree(tree_path::Found::Element(element))
            }
        }
    }

    /// The name it has in its object, or as an element.
    #[must_use]
    pub fn name(self) -> Option<&'d str> {
        match self {
            Self::Json(found) => found.name,
            Self::Tree(tree_path::Found::Element(Element { name, .. })) => Some(
                name.rsplit_once(':')
                    .map_or(name.as_str(), |(_, local)| local),
            ),
            Self::Tree(tree_path::Found::Attribute(_)) | Self::Name(_) => None,
        }
    }

    /// Its text; what it is instead when it has none.
    ///
    /// # Errors
    /// What it is: a list, an object, ...
    pub fn text(self) -> Result<Text<'d>, &'static str> {
        let plain = |text: &'d str| Text {
            text: text.trim(),
            is_json_number: false,
        };
        match self {
            Self::Name(name) => Ok(plain(name)),
            Self::Tree(tree_path::Found::Attribute(value)) => Ok(plain(value)),
            Self::Tree(tree_path::Found::Element(element)) if element.children.is_empty() => {
                Ok(plain(&element.text))
            }
            Self::Tree(tree_path::Found::Element(_)) => Err("elements instead of a text"),
            Self::Json(found) => match found.value {
                Value::Number(text) => Ok(Text {
                    text,
                    is_json_number: true,
                }),
                Value::Text(text) => Ok(plain(text)),
                other => Err(other.kind()),
            },
        }
    }
}
