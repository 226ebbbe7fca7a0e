//! Elements: what XML is made of, and what the rows and cells of CSV are read as.

/// An element with what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, a prefix of a namespace included.
    pub name: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
    /// Its own text, without that of the elements in it.
    pub text: String,
    /// The elements in it.
    pub children: Vec<Element>,
}

impl Element {
    /// True when this is its name, or its name without the prefix of a namespace.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        is_called(&self.name, name)
    }

    /// The values of the attributes of this name.
    pub fn attributes_called<'e>(&'e self, name: &str) -> impl Iterator<Item = &'e str> {
        self.attributes
            .iter()
            .filter(move |(known, _)| is_called(known, name))
            .map(|(_, value)| value.as_str())
    }

    /// Its text without the blanks around it.
    #[must_use]
    pub fn trimmed(&self) -> &str {
        self.text.trim()
    }
}

fn is_called(known: &str, name: &str) -> bool {
    let local = known.rsplit_once(':').map_or(known, |(_, local)| local);
    known == name || local == name
}
