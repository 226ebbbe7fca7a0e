//! A stored alert, understood.

use crate::condition::{ConditionDocument, Terms};
use crate::machine::AlertState;
use crate::target::Target;
use kurs_core::Wall;
use kurs_store::StoredAlert;
use std::sync::Arc;

/// The id of an alert: 12 characters that are easy to read and to type.
pub type AlertId = Arc<str>;

/// What ids are made of: no letters and digits that look alike.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const ID_LENGTH: usize = 12;

/// An id from random bytes.
#[must_use]
pub fn id_of(random: [u8; ID_LENGTH]) -> AlertId {
    let letter = |byte: u8| {
        let letter = ALPHABET.get(usize::from(byte % 32)).copied();
        char::from(letter.unwrap_or(b'a'))
    };
    random.into_iter().map(letter).collect::<String>().into()
}

/// An alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// What people call it.
    pub name: Option<Arc<str>>,
    /// Who is told.
    pub target: Target,
    /// What is watched, and on what terms.
    pub terms: Terms,
    /// What its machine remembers.
    pub state: AlertState,
    /// When it was made.
    pub created_at: Wall,
    /// Who made it.
    pub created_by: Arc<str>,
    /// Nothing is looked at meanwhile.
    pub is_paused: bool,
    /// Grows with every change by people.
    pub revision: u64,
    /// How often it has fired.
    pub fired: u64,
    /// When it fired last.
    pub fired_at: Option<Wall>,
}

/// A stored alert that cannot be understood, which one and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("alert {id}: {why}")]
pub struct NotAnAlert {
    /// Which one.
    pub id: AlertId,
    /// Why.
    pub why: String,
}

impl Alert {
    /// What is stored.
    ///
    /// # Errors
    /// When it was written by a later version, or by nobody that knows this form.
    pub fn read(stored: &StoredAlert) -> Result<Self, NotAnAlert> {
        let error = |why: String| NotAnAlert {
            id: Arc::clone(&stored.id),
            why,
        };
        let document: ConditionDocument =
            serde_json::from_str(&stored.condition).map_err(|why| error(why.to_string()))?;
        let terms = document.understand().map_err(|mistakes| {
            let mistake = mistakes.first();
            error(mistake.map_or_else(String::new, |mistake| {
                format!("{} {}", mistake.field, mistake.why)
            }))
        })?;
        Ok(Self {
            id: Arc::clone(&stored.id),
            name: stored.name.clone(),
            target: Target::parse(&stored.target).map_err(|why| error(why.to_string()))?,
            terms,
            state: serde_json::from_str(&stored.state).map_err(|why| error(why.to_string()))?,
            created_at: stored.created_at,
            created_by: Arc::clone(&stored.owner),
            is_paused: stored.is_paused,
            revision: stored.revision,
            fired: stored.fired,
            fired_at: stored.fired_at,
        })
    }

    /// As it is stored.
    #[must_use]
    pub fn store(&self) -> StoredAlert {
        StoredAlert {
            id: Arc::clone(&self.id),
            name: self.name.clone(),
            owner: Arc::clone(&self.created_by),
            target: self.target.to_string().into(),
            condition: self.terms.json(),
            is_paused: self.is_paused,
            created_at: self.created_at,
            revision: self.revision,
            state: self.state.json(),
            fired: self.fired,
            fired_at: self.fired_at,
        }
    }

    /// One that has just been made.
    #[must_use]
    pub fn new(id: AlertId, target: Target, terms: Terms, created_by: Arc<str>, at: Wall) -> Self {
        Self {
            id,
            name: None,
            target,
            terms,
            state: AlertState::default(),
            created_at: at,
            created_by,
            is_paused: false,
            revision: 1,
            fired: 0,
            fired_at: None,
        }
    }
}
