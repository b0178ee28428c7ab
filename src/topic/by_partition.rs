//! Something of each of some partitions.

use std::ops::Index;
use std::{mem, slice, vec};

use super::TopicPartition;

/// Something of each of some partitions, in their order. Of every fleet several are kept, each with a dozen entries or
/// so: a vector, as a tree of that many takes three times the memory, and no room to spare. It is made as a whole and
/// hardly ever grows; where it does, an entry in the middle costs a copy of those behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByPartition<T>(Vec<(TopicPartition, T)>);

impl<T> ByPartition<T> {
    /// Nothing of any.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Of how many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is of none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// That of `partition`.
    pub fn get(&self, partition: &TopicPartition) -> Option<&T> {
        let place = self.place(partition).ok()?;
        Some(&self.0[place].1)
    }

    /// That of `partition`.
    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut T> {
        let place = self.place(partition).ok()?;
        Some(&mut self.0[place].1)
    }

    /// Whether there is anything of `partition`.
    pub fn contains_key(&self, partition: &TopicPartition) -> bool {
        self.place(partition).is_ok()
    }

    /// Puts `value` in the place of what was there of `partition`, which is returned.
    pub fn insert(&mut self, partition: TopicPartition, value: T) -> Option<T> {
        match self.place(&partition) {
            Ok(place) => Some(mem::replace(&mut self.0[place].1, value)),
            Err(place) => {
                self.0.insert(place, (partition, value));
                None
            }
        }
    }

    /// Takes out what there is of `partition`.
    pub fn remove(&mut self, partition: &TopicPartition) -> Option<T> {
        let place = self.place(partition).ok()?;
        Some(self.0.remove(place).1)
    }

    /// Leaves only what `keep` says.
    pub fn retain(&mut self, mut keep: impl FnMut(&TopicPartition, &mut T) -> bool) {
        self.0
            .retain_mut(|(partition, value)| keep(partition, value));
    }

    /// Gives back what room there is for more.
    pub fn shrink_to_fit(&mut self) {
        self.0.shrink_to_fit();
    }

    /// All, in order.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self.0.iter())
    }

    /// The partitions, in order.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &TopicPartition> + Clone {
        self.0.iter().map(|(partition, _)| partition)
    }

    /// What there is of them, in their order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// What there is of them, in their order.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// What there is of them, in their order.
    pub fn into_values(self) -> impl ExactSizeIterator<Item = T> {
        self.0.into_iter().map(|(_, value)| value)
    }

    fn place(&self, partition: &TopicPartition) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(partition))
    }
}

impl<T> Default for ByPartition<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Index<&TopicPartition> for ByPartition<T> {
    type Output = T;

    fn index(&self, partition: &TopicPartition) -> &T {
        self.get(partition).expect("nothing of this partition")
    }
}

/// Of a partition that comes twice the last counts.
impl<T> Extend<(TopicPartition, T)> for ByPartition<T> {
    fn extend<I: IntoIterator<Item = (TopicPartition, T)>>(&mut self, more: I) {
        let all = &mut self.0;
        all.extend(more);
        if !all.is_sorted_by(|(before, _), (after, _)| before < after) {
            all.sort_by(|(before, _), (after, _)| before.cmp(after));
            all.dedup_by(|later, earlier| {
                let same = later.0 == earlier.0;
                if same {
                    mem::swap(later, earlier);
                }
                same
            });
        }
        all.shrink_to_fit();
    }
}

impl<T> FromIterator<(TopicPartition, T)> for ByPartition<T> {
    fn from_iter<I: IntoIterator<Item = (TopicPartition, T)>>(all: I) -> Self {
        let mut collected = Self::new();
        collected.extend(all);
        collected
    }
}

impl<T, const N: usize> From<[(TopicPartition, T); N]> for ByPartition<T> {
    fn from(all: [(TopicPartition, T); N]) -> Self {
        all.into_iter().collect()
    }
}

impl<T> IntoIterator for ByPartition<T> {
    type Item = (TopicPartition, T);
    type IntoIter = vec::IntoIter<(TopicPartition, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a ByPartition<T> {
    type Item = (&'a TopicPartition, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut ByPartition<T> {
    type Item = (&'a TopicPartition, &'a mut T);
    type IntoIter = IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        IterMut(self.0.iter_mut())
    }
}

/// See [`ByPartition::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a, T>(slice::Iter<'a, (TopicPartition, T)>);

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = (&'a TopicPartition, &'a T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(partition, value)| (partition, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

/// All of a [`ByPartition`], to be changed.
#[derive(Debug)]
pub struct IterMut<'a, T>(slice::IterMut<'a, (TopicPartition, T)>);

impl<'a, T> Iterator for IterMut<'a, T> {
    type Item = (&'a TopicPartition, &'a mut T);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(partition, value)| (&*partition, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(partition: i32) -> TopicPartition {
        TopicPartition::new("orders", partition)
    }

    fn of(all: &ByPartition<char>) -> String {
        let numbers = all
            .iter()
            .map(|(at, value)| format!("{}{value}", at.partition));
        numbers.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn all_are_in_order_and_of_each_the_last_counts() {
        let mut all = ByPartition::from([(at(7), 'a'), (at(2), 'b'), (at(7), 'c'), (at(4), 'd')]);
        assert_eq!(of(&all), "2b 4d 7c");
        assert_eq!(all.insert(at(3), 'e'), None);
        assert_eq!(all.insert(at(2), 'f'), Some('b'));
        all.extend([(at(1), 'g'), (at(4), 'h')]);
        assert_eq!(of(&all), "1g 2f 3e 4h 7c");
        assert_eq!((all.get(&at(3)), all.get(&at(5))), (Some(&'e'), None));
        assert_eq!((all.remove(&at(1)), all.remove(&at(1))), (Some('g'), None));
        all.retain(|at, value| at.partition != 3 && *value != 'h');
        assert_eq!(of(&all), "2f 7c");
        assert!(all.contains_key(&at(7)) && !all.contains_key(&at(4)));
        for value in all.values_mut() {
            *value = value.to_ascii_uppercase();
        }
        assert_eq!(of(&all), "2F 7C");
    }

    #[test]
    fn what_is_kept_of_a_fleet_has_no_room_to_spare() {
        let twelve = || (0..12).map(|number| (at(number), [0_u64; 4]));
        let mut all: ByPartition<_> = twelve().filter(|(at, _)| at.partition > 2).collect();
        assert_eq!((all.len(), all.0.capacity()), (9, 9));
        all.extend(twelve());
        assert_eq!((all.len(), all.0.capacity()), (12, 12));
    }
}
