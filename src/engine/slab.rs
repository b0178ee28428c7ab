//! The records that the engine holds, each under a small handle that stays the same while it is
//! held. Places are used again, so that a record in steady state costs no allocation.

use std::ops::{Index, IndexMut};

/// Where a record is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle(u32);

impl From<u32> for Handle {
    fn from(index: u32) -> Self {
        Self(index)
    }
}

/// Tells a record from a later one in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(u32);

#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(Generation, Option<T>)>,
    free: Vec<Handle>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, value: T) -> Handle {
        if let Some(handle) = self.free.pop() {
            self.places[handle.0 as usize].1 = Some(value);
            return handle;
        }
        let index = u32::try_from(self.places.len()).expect("records are bounded by the budget");
        self.places.push((Generation(0), Some(value)));
        Handle(index)
    }

    pub(super) fn remove(&mut self, handle: Handle) -> T {
        let (generation, value) = &mut self.places[handle.0 as usize];
        generation.0 = generation.0.wrapping_add(1);
        self.free.push(handle);
        value.take().expect("a handle is removed once")
    }

    pub(super) fn generation(&self, handle: Handle) -> Generation {
        self.places[handle.0 as usize].0
    }
}

impl<T> Index<Handle> for Slab<T> {
    type Output = T;

    fn index(&self, handle: Handle) -> &T {
        self.places[handle.0 as usize]
            .1
            .as_ref()
            .expect("a handle is valid while its record is held")
    }
}

impl<T> IndexMut<Handle> for Slab<T> {
    fn index_mut(&mut self, handle: Handle) -> &mut T {
        self.places[handle.0 as usize]
            .1
            .as_mut()
            .expect("a handle is valid while its record is held")
    }
}
