//! `grant_table_op`: a table the guest can set up and write grants to. There is no other domain
//! that would use them, and none whose grants could be mapped.

use super::{Answer, DOMID, read, work, write};
use crate::domain::{Domain, GRANT_FRAMES};
use hypercalls::grant_table::*;
use hypercalls::{DOMID_SELF, DomId, Errno};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// The layout of the table's entries; version 2 is not offered.
const VERSION: u32 = 1;
/// The most elements one call may have.
const MAX_COUNT: u32 = 4096;

pub(super) fn grant_table_op(dom: &mut Domain, cpu: usize, args: [u64; 6]) -> Answer {
    let (at, count) = (args[1], args[2] as u32);
    match args[0] as u32 {
        GNTTABOP_MAP_GRANT_REF => each(dom, cpu, at, count, |op: &mut MapGrantRef| {
            op.status = GNTST_BAD_DOMAIN;
        }),
        GNTTABOP_UNMAP_GRANT_REF | GNTTABOP_UNMAP_AND_REPLACE => {
            each(dom, cpu, at, count, |op: &mut UnmapGrantRef| {
                op.status = GNTST_BAD_HANDLE;
            })
        }
        GNTTABOP_TRANSFER => each(dom, cpu, at, count, |op: &mut Transfer| {
            op.status = GNTST_BAD_DOMAIN;
        }),
        GNTTABOP_COPY => each(dom, cpu, at, count, |op: &mut CopyOp| {
            op.status = GNTST_BAD_DOMAIN;
        }),
        // The rest take one element.
        _ if count != 1 => Err(Errno::EINVAL),
        GNTTABOP_SETUP_TABLE => setup_table(dom, cpu, at),
        GNTTABOP_QUERY_SIZE => query_size(dom, cpu, at),
        GNTTABOP_SET_VERSION => set_version(dom, cpu, at),
        GNTTABOP_GET_VERSION => get_version(dom, cpu, at),
        GNTTABOP_GET_STATUS_FRAMES => {
            let mut op: GetStatusFrames = read(dom, cpu, at)?;
            op.status = GNTST_GENERAL_ERROR;
            write(dom, cpu, at, &op).map(|()| 0)
        }
        _ => Err(Errno::ENOSYS),
    }
}

/// Answers every element of an array.
fn each<T: FromBytes + IntoBytes + Immutable>(
    dom: &mut Domain,
    cpu: usize,
    at: u64,
    count: u32,
    answer: impl Fn(&mut T),
) -> Answer {
    if count > MAX_COUNT {
        return Err(Errno::EINVAL);
    }
    for i in 0..u64::from(count) {
        dom.mm.charge(work::ANSWERED);
        let at = at.wrapping_add(i * size_of::<T>() as u64);
        let mut op: T = read(dom, cpu, at)?;
        answer(&mut op);
        write(dom, cpu, at, &op)?;
    }
    Ok(0)
}

fn is_own(dom: DomId) -> bool {
    dom == DOMID_SELF || dom == DOMID
}

/// All frames are there from the beginning; the guest is told as many as it wants.
fn setup_table(dom: &mut Domain, cpu: usize, at: u64) -> Answer {
    let mut op: SetupTable = read(dom, cpu, at)?;
    op.status = match () {
        () if !is_own(op.dom) => GNTST_BAD_DOMAIN,
        () if u64::from(op.nr_frames) > GRANT_FRAMES => GNTST_GENERAL_ERROR,
        () => {
            for i in 0..u64::from(op.nr_frames) {
                let slot = op.frame_list.wrapping_add(i * 8);
                write(dom, cpu, slot, &dom.first_grant_frame().add(i).0)?;
            }
            dom.grant_frames_used = dom.grant_frames_used.max(op.nr_frames);
            GNTST_OKAY
        }
    };
    write(dom, cpu, at, &op).map(|()| 0)
}

fn query_size(dom: &mut Domain, cpu: usize, at: u64) -> Answer {
    let mut op: QuerySize = read(dom, cpu, at)?;
    op.status = GNTST_BAD_DOMAIN;
    if is_own(op.dom) {
        op.nr_frames = dom.grant_frames_used;
        op.max_nr_frames = GRANT_FRAMES as u32;
        op.status = GNTST_OKAY;
    }
    write(dom, cpu, at, &op).map(|()| 0)
}

fn set_version(dom: &mut Domain, cpu: usize, at: u64) -> Answer {
    let mut op: SetVersion = read(dom, cpu, at)?;
    let answer = match op.version {
        VERSION => Ok(0),
        2 => Err(Errno::ENOSYS),
        _ => Err(Errno::EINVAL),
    };
    op.version = VERSION;
    write(dom, cpu, at, &op).and(answer)
}

fn get_version(dom: &mut Domain, cpu: usize, at: u64) -> Answer {
    let mut op: GetVersion = read(dom, cpu, at)?;
    if !is_own(op.dom) {
        return Err(Errno::ESRCH);
    }
    op.version = VERSION;
    write(dom, cpu, at, &op).map(|()| 0)
}
