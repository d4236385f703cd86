//! THE one match from a request's type to what answers it.

use super::connection::Xenstore;
use super::error::XsError;
use super::home::path_of;
use super::path::absolute;
use super::perms::{Access, Perms};
use super::tree::Tree;
use super::watch::Change;
use hypercalls::xs_wire::*;

/// What succeeds with nothing to say.
const OK: &[u8] = b"OK\0";

type Answer = Result<Vec<u8>, XsError>;

impl Xenstore {
    /// A request; the answer's payload.
    pub(super) fn request(&mut self, header: &Header, payload: &[u8]) -> Answer {
        match header.kind {
            XS_DIRECTORY => self.directory(header.tx_id, payload),
            XS_DIRECTORY_PART => self.directory_part(header.tx_id, payload),
            XS_READ => self.read(header.tx_id, payload),
            XS_GET_PERMS => self.get_perms(header.tx_id, payload),
            XS_WRITE => self.write(header.tx_id, payload),
            XS_MKDIR => self.mkdir(header.tx_id, payload),
            XS_RM => self.rm(header.tx_id, payload),
            XS_SET_PERMS => self.set_perms(header.tx_id, payload),
            XS_WATCH => self.watch(payload),
            XS_UNWATCH => self.unwatch(payload),
            XS_TRANSACTION_START => self.start(header.tx_id),
            XS_TRANSACTION_END => self.end(header.tx_id, payload),
            XS_GET_DOMAIN_PATH => Ok(format!("{}\0", path_of(number(payload)?)).into_bytes()),
            XS_IS_DOMAIN_INTRODUCED => {
                let known = [0, self.domid].contains(&number(payload)?);
                Ok(if known { b"T\0" } else { b"F\0" }.to_vec())
            }
            XS_RESET_WATCHES => {
                self.watches.clear();
                self.transactions.clear();
                done()
            }
            XS_CONTROL | XS_INTRODUCE | XS_RELEASE | XS_RESUME | XS_SET_TARGET => {
                Err(XsError::Acces)
            }
            _ => Err(XsError::Nosys),
        }
    }

    /// The tree a request works on: a transaction's, or the store's.
    fn tree(&mut self, tx: u32) -> Result<&mut Tree, XsError> {
        match tx {
            0 => Ok(&mut self.tree),
            _ => Ok(&mut self.transactions.get(tx)?.tree),
        }
    }

    /// As [`Xenstore::tree`], to change it, if the change can be noted.
    fn tree_to_change(&mut self, tx: u32) -> Result<&mut Tree, XsError> {
        if tx != 0 {
            self.transactions.get(tx)?.room()?;
        }
        self.tree(tx)
    }

    fn changed(&mut self, tx: u32, change: Change) -> Answer {
        match tx {
            0 => self.changes.push(change),
            _ => self.transactions.get(tx)?.note(change),
        }
        done()
    }

    fn path(&self, payload: &[u8]) -> Result<String, XsError> {
        absolute(only(payload)?, &self.home)
    }

    fn names(&mut self, tx: u32, path: &str) -> Result<(u64, Vec<u8>), XsError> {
        let who = self.domid;
        let tree = self.tree(tx)?;
        let generation = tree.get(path, who, Access::Read)?.generation;
        let names = tree.children(path).flat_map(|name| [name, "\0"]);
        Ok((generation, names.collect::<String>().into_bytes()))
    }

    fn directory(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let path = self.path(payload)?;
        let (_, names) = self.names(tx, &path)?;
        match names.len() <= PAYLOAD_MAX as usize {
            true => Ok(names),
            false => Err(XsError::TooBig),
        }
    }

    /// Generation, then names from an offset on; an empty name after the last.
    fn directory_part(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let [path, offset] = texts(payload)?;
        let offset: usize = offset.parse().map_err(|_| XsError::Inval)?;
        let (generation, mut names) = self.names(tx, &absolute(path, &self.home)?)?;
        names.push(0);
        let rest = names.get(offset..).ok_or(XsError::Inval)?;
        let mut answer = format!("{generation}\0").into_bytes();
        let room = PAYLOAD_MAX as usize - answer.len();
        answer.extend_from_slice(whole_names(rest, room));
        Ok(answer)
    }

    fn read(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, who) = (self.path(payload)?, self.domid);
        Ok(self.tree(tx)?.get(&path, who, Access::Read)?.value.clone())
    }

    fn get_perms(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, who) = (self.path(payload)?, self.domid);
        Ok(self
            .tree(tx)?
            .get(&path, who, Access::Read)?
            .perms
            .to_bytes())
    }

    fn write(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, value) = split(payload)?;
        let (path, who) = (absolute(path, &self.home)?, self.domid);
        self.tree_to_change(tx)?.write(&path, value, who)?;
        self.changed(tx, Change::Node(path))
    }

    fn mkdir(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, who) = (self.path(payload)?, self.domid);
        match self.tree_to_change(tx)?.mkdir(&path, who)? {
            true => self.changed(tx, Change::Node(path)),
            false => done(),
        }
    }

    fn rm(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, who) = (self.path(payload)?, self.domid);
        self.tree_to_change(tx)?.rm(&path, who)?;
        self.changed(tx, Change::Gone(path))
    }

    fn set_perms(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let (path, rest) = split(payload)?;
        let rest = rest.strip_suffix(b"\0").ok_or(XsError::Inval)?;
        let rest = str::from_utf8(rest).map_err(|_| XsError::Inval)?;
        let perms = Perms::parse(rest.split('\0'))?;
        let (path, who) = (absolute(path, &self.home)?, self.domid);
        self.tree_to_change(tx)?.set_perms(&path, perms, who)?;
        self.changed(tx, Change::Node(path))
    }

    /// The first event says that the watch is there.
    fn watch(&mut self, payload: &[u8]) -> Answer {
        let [given, token] = texts(payload)?;
        if given.starts_with('@') {
            return Err(XsError::Acces);
        }
        let path = absolute(given, &self.home)?;
        let first = self.watches.add(path, given, token)?;
        self.first = Some(first);
        done()
    }

    fn unwatch(&mut self, payload: &[u8]) -> Answer {
        let [given, token] = texts(payload)?;
        self.watches.remove(&absolute(given, &self.home)?, token)?;
        done()
    }

    fn start(&mut self, tx: u32) -> Answer {
        if tx != 0 {
            return Err(XsError::Inval);
        }
        let id = self.transactions.start(&self.tree)?;
        Ok(format!("{id}\0").into_bytes())
    }

    fn end(&mut self, tx: u32, payload: &[u8]) -> Answer {
        let keep = match only(payload)? {
            "T" => true,
            "F" => false,
            _ => return Err(XsError::Inval),
        };
        self.changes = self.transactions.end(tx, keep, &mut self.tree)?;
        done()
    }
}

fn done() -> Answer {
    Ok(OK.to_vec())
}

/// A text and the bytes behind its end.
fn split(payload: &[u8]) -> Result<(&str, &[u8]), XsError> {
    let end = payload.iter().position(|&b| b == 0).ok_or(XsError::Inval)?;
    let text = str::from_utf8(&payload[..end]).map_err(|_| XsError::Inval)?;
    Ok((text, &payload[end + 1..]))
}

/// The one text of a payload.
fn only(payload: &[u8]) -> Result<&str, XsError> {
    let [text] = texts(payload)?;
    Ok(text)
}

/// A payload of exactly so many texts.
fn texts<const N: usize>(payload: &[u8]) -> Result<[&str; N], XsError> {
    let mut rest = payload;
    let mut texts = [""; N];
    for text in &mut texts {
        (*text, rest) = split(rest)?;
    }
    rest.is_empty().then_some(texts).ok_or(XsError::Inval)
}

fn number(payload: &[u8]) -> Result<u16, XsError> {
    only(payload)?.parse().map_err(|_| XsError::Inval)
}

/// As many bytes as fit without cutting a name.
fn whole_names(names: &[u8], room: usize) -> &[u8] {
    if names.len() <= room {
        return names;
    }
    let end = names[..room].iter().rposition(|&b| b == 0);
    &names[..end.map_or(0, |at| at + 1)]
}
