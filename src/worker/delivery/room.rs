//! Room for decrypted values: a part of the memory budget that they share.
//!
//! A small record may become a large value, and nobody knows how large before. So room for the largest
//! that is allowed is taken first, and what was not needed is given back right after. Who has to wait
//! for room holds none: so waiting always has an end.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room is counted in pieces of so many bytes.
const PIECE: usize = 1024;

/// Room that decrypted values share.
#[derive(Debug, Clone)]
pub struct Room {
    free: Arc<Semaphore>,
    pieces: u32,
}

/// Room that is taken, until it is dropped.
#[derive(Debug)]
pub struct Taken(OwnedSemaphorePermit);

impl Room {
    /// `bytes` of room.
    pub fn new(bytes: usize) -> Self {
        let pieces = u32::try_from(bytes / PIECE).unwrap_or(u32::MAX).max(1);
        Self {
            free: Arc::new(Semaphore::new(pieces as usize)),
            pieces,
        }
    }

    /// Takes room for `bytes`, or all that there is; waits until that is free.
    pub async fn take(&self, bytes: usize) -> Taken {
        let free = Arc::clone(&self.free);
        let taken = free.acquire_many_owned(self.wanted(bytes)).await;
        Taken(taken.expect("it is never closed"))
    }

    /// The same without waiting.
    pub fn try_take(&self, bytes: usize) -> Option<Taken> {
        let free = Arc::clone(&self.free);
        free.try_acquire_many_owned(self.wanted(bytes))
            .ok()
            .map(Taken)
    }

    /// Bytes that are taken.
    pub fn taken_bytes(&self) -> usize {
        let all = self.pieces as usize;
        all.saturating_sub(self.free.available_permits()) * PIECE
    }

    fn wanted(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(PIECE)).map_or(self.pieces, |pieces| pieces.min(self.pieces))
    }
}

impl Taken {
    /// Gives back all but room for `bytes`.
    pub fn keep(&mut self, bytes: usize) {
        let too_much = self.0.num_permits().saturating_sub(bytes.div_ceil(PIECE));
        drop(self.0.split(too_much));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_needed_is_given_back_and_the_rest_with_its_value() {
        let room = Room::new(10 * PIECE);
        let mut first = room.try_take(8 * PIECE).unwrap();
        assert!(room.try_take(3 * PIECE).is_none());
        first.keep(5);
        assert_eq!(room.taken_bytes(), PIECE);
        first.keep(9 * PIECE);
        assert_eq!(room.taken_bytes(), PIECE, "nothing is taken afterwards");
        let second = room.try_take(9 * PIECE).unwrap();
        drop((first, second));
        assert_eq!(room.taken_bytes(), 0);
    }

    #[test]
    fn what_is_larger_than_all_room_gets_all_of_it() {
        let room = Room::new(10 * PIECE);
        let all = room.try_take(usize::MAX).unwrap();
        assert_eq!(room.taken_bytes(), 10 * PIECE);
        assert!(room.try_take(1).is_none());
        drop(all);
        assert!(room.try_take(1).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_room_when_others_have_given_it_back() {
        let room = Room::new(10 * PIECE);
        let first = room.take(10 * PIECE).await;
        let waiting = tokio::spawn({
            let room = room.clone();
            async move { room.take(4 * PIECE).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        let _second = waiting.await.unwrap();
        assert_eq!(room.taken_bytes(), 4 * PIECE);
    }
}
