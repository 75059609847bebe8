//! Everything at once on this machine: Redis, a job board, a worker and a beat.

mod board;
mod children;
mod openings;
mod pages;
mod report;
mod setup;
