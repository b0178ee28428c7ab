//! The planner in a small world, for minutes and hours; a file for each kind of world.

mod bad_hours;
mod limits;
mod load;
mod pace;
mod peaks;
mod pods;
mod promises;
mod unknown;
