//! Xenlet's hypervisor: runs 64-bit Xen PV guests and counts every hypercall trap.
//!
//! A run is a line of owned values: a configuration, an [`image`], a [`domain`] built from it, a
//! vCPU loop ([`kvm`]) that turns each exit into a [`hypercall`] or a [`trap`], page-table rules
//! ([`mm`]) that say what the host must be told, counters ([`stats`]), a [`report`].
//!
//! `mm`, `hypercall`, `trap` and `domain` know nothing of KVM; [`direct`] runs them without.

pub mod bench;
pub mod boot;
pub mod config;
pub mod direct;
pub mod doctor;
pub mod domain;
pub mod dump;
pub mod exit;
pub mod golden;
pub mod hypercall;
pub mod image;
pub mod images;
pub mod initramfs;
pub mod kvm;
pub mod lab;
pub mod memory;
pub mod mm;
pub mod progress;
pub mod report;
pub mod sandbox;
pub mod stats;
pub mod trap;
pub mod xenstore;
