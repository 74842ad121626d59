//! Small numbers for repeated names, so that hot maps need no text.

use std::collections::HashMap;

/// A table of names; each has a number from 0 on, in the order of first sight.
///
/// The numbers are private to one table and never reach an output: outputs are sorted by name.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    numbers: HashMap<Box<str>, u32>,
    names: Vec<Box<str>>,
}

impl Symbols {
    /// Returns the number of a name, giving it one at first sight.
    pub fn intern(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.numbers.insert(name.into(), number);
        self.names.push(name.into());
        number
    }

    /// Returns the number of a name that is known already.
    pub fn get(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Returns the name of a number; empty for a number that this table never gave.
    pub fn name(&self, number: u32) -> &str {
        self.names.get(number as usize).map_or("", |it| it)
    }

    /// Returns how many names there are.
    pub const fn len(&self) -> usize {
        self.names.len()
    }

    /// Tells whether there is no name yet.
    pub const fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Lists the names in the order of their numbers.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|it| &**it)
    }
}
