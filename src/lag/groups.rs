//! Which fleets have which group: two with one group take each other's records.

use std::collections::HashMap;

/// The fleets of each group.
#[derive(Debug)]
pub(super) struct Groups<K> {
    fleets: HashMap<String, Vec<K>>,
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self {
            fleets: HashMap::new(),
        }
    }
}

impl<K: Ord + Clone> Groups<K> {
    /// The fleet has this group from now on.
    pub(super) fn add(&mut self, group: &str, key: K) {
        let fleets = self.fleets.entry(group.to_owned()).or_default();
        if let Err(place) = fleets.binary_search(&key) {
            fleets.insert(place, key);
        }
    }

    /// And no longer.
    pub(super) fn remove(&mut self, group: &str, key: &K) {
        let Some(fleets) = self.fleets.get_mut(group) else {
            return;
        };
        fleets.retain(|other| other != key);
        if fleets.is_empty() {
            self.fleets.remove(group);
        }
    }

    /// The other fleets with this group, in order.
    pub(super) fn others(&self, group: &str, key: &K) -> Vec<K> {
        let fleets = self.fleets.get(group).into_iter().flatten();
        fleets.filter(|other| *other != key).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_with_one_group_are_each_others_others() {
        let mut groups = Groups::default();
        groups.add("g", 2);
        groups.add("g", 1);
        groups.add("g", 1);
        groups.add("h", 3);
        assert_eq!(groups.others("g", &1), [2]);
        assert_eq!(groups.others("g", &2), [1]);
        assert!(groups.others("h", &3).is_empty());
        groups.remove("g", &2);
        groups.remove("h", &3);
        groups.remove("none", &3);
        assert!(groups.others("g", &1).is_empty());
        assert_eq!(groups.fleets.len(), 1);
    }
}
