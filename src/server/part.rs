//! What is taken over from one reading of the configuration to the next, with all that it remembers.

use std::ops::Deref;

use super::start_error::StartError;

/// A part of an assembly that knows what it was made from: settings, and other parts.
#[derive(Clone)]
pub struct Part<S, T> {
    from: S,
    made: T,
}

impl<S: Clone + PartialEq, T: Clone> Part<S, T> {
    /// The one `before`, if it was made from the same, else a new one. `make` is to look at nothing else that is configured.
    pub fn kept_or_made(
        before: Option<&Self>,
        from: S,
        make: impl FnOnce(&S) -> Result<T, StartError>,
    ) -> Result<Self, StartError> {
        match before {
            Some(part) if part.from == from => Ok(part.clone()),
            _ => Ok(Self { made: make(&from)?, from }),
        }
    }
}

impl<S, T> Deref for Part<S, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.made
    }
}

/// Parts that were made from the same are the same, so that what is made from a part changes with it.
impl<S: PartialEq, T> PartialEq for Part<S, T> {
    fn eq(&self, other: &Self) -> bool {
        self.from == other.from
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Made = Part<u8, Arc<u8>>;

    fn part(before: Option<&Made>, from: u8) -> Made {
        Part::kept_or_made(before, from, |from| Ok(Arc::new(*from))).unwrap()
    }

    #[test]
    fn a_part_is_kept_until_what_it_is_made_from_changes() {
        let first = part(None, 1);
        let (same, other) = (part(Some(&first), 1), part(Some(&first), 2));
        assert!(Arc::ptr_eq(&first, &same));
        assert_eq!((**first, **other), (1, 2));
    }

    #[test]
    fn what_is_made_from_a_part_changes_with_it() {
        let on = |before: Option<&Part<Made, Arc<()>>>, under: Made| {
            Part::kept_or_made(before, under, |_| Ok(Arc::new(()))).unwrap()
        };
        let under = part(None, 1);
        let first = on(None, under.clone());
        assert!(Arc::ptr_eq(&first, &on(Some(&first), part(Some(&under), 1))));
        assert!(!Arc::ptr_eq(&first, &on(Some(&first), part(Some(&under), 2))));
    }

    #[test]
    fn what_cannot_be_made_is_told() {
        let made = Made::kept_or_made(None, 1, |_| Err(StartError::RestartNeeded("here")));
        assert!(matches!(made, Err(StartError::RestartNeeded("here"))));
    }
}
