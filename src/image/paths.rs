//! The paths that an image's layers speak of, as a tree in little memory: what the layers above hide is asked here.
//!
//! A path costs the bytes of the names in it that are new, and 20 bytes and a hash for each. Time is that of looking up
//! each name, so a deep path is not dearer than its length.

use super::limits;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};
use std::io::{Error, ErrorKind};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// A path of the tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Id(u32);

/// No layer.
const NEVER: u16 = u16::MAX;

/// Layers are counted from the topmost, 0, down.
struct Node {
    parent: u32,
    /// Where the name is in `names`.
    name: u32,
    /// Bytes of the name; a path has no more than `limits::PATH`.
    length: u16,
    /// The next node with the same hash, or 0.
    next: u32,
    /// The first layer that has an entry here.
    there: u16,
    /// The first layer that has something in here, so that it is a directory.
    inside: u16,
    /// The first layer that has something here that is no directory: what is below in later layers does not show.
    solid: u16,
    /// The first layer that removes what later layers have below.
    emptied: u16,
    /// The first layer that removes what later layers have here.
    removed: u16,
}

impl Node {
    const fn new(parent: u32, name: u32, length: u16, next: u32) -> Node {
        Node {
            parent,
            name,
            length,
            next,
            there: NEVER,
            inside: NEVER,
            solid: NEVER,
            emptied: NEVER,
            removed: NEVER,
        }
    }
}

static NOTHING: Node = Node::new(ROOT, 0, 0, 0);

/// The paths.
pub struct Paths {
    nodes: Vec<Node>,
    names: Vec<u8>,
    /// The first node of each hash. The hash is keyed, so that nobody can make many names share one.
    index: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    key: RandomState,
    most: usize,
    /// The layer that is read.
    layer: u16,
    /// The symbolic links of that layer.
    links: HashMap<u32, PathBuf>,
    /// The directory that was asked for last: entries of one directory mostly follow each other.
    last: Last,
}

struct Last {
    path: PathBuf,
    id: u32,
    followed: bool,
}

impl Default for Last {
    fn default() -> Last {
        Last { path: PathBuf::from("/"), id: ROOT, followed: false }
    }
}

const ROOT: u32 = 0;

impl Paths {
    /// No paths yet; never more than `most`.
    pub fn new(most: u64) -> Paths {
        Paths {
            nodes: vec![Node::new(ROOT, 0, 0, 0)],
            names: Vec::new(),
            index: HashMap::default(),
            key: RandomState::new(),
            most: usize::try_from(most).map_or(usize::MAX, |most| most.saturating_add(1)),
            layer: 0,
            links: HashMap::new(),
            last: Last::default(),
        }
    }

    /// Goes on with the next layer below.
    pub fn next_layer(&mut self) {
        self.layer = self.layer.saturating_add(1);
        self.links.clear();
        self.last = Last::default();
    }

    /// The place of an entry of this layer, and whether it is another than the path says: a symbolic link of the same
    /// layer on the way there is followed inside of the root, as by who unpacks layers. One of a layer below would be
    /// replaced by a directory, and is.
    pub fn place(&mut self, path: &Path) -> Result<(Id, bool), Error> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok((Id(ROOT), false));
        };
        if parent != self.last.path {
            let (id, followed) = self.directory(parent)?;
            self.last = Last { path: parent.to_path_buf(), id, followed };
        }
        let id = self.child(self.last.id, name)?;
        Ok((Id(id), self.last.followed))
    }

    fn directory(&mut self, path: &Path) -> Result<(u32, bool), Error> {
        let mut at = ROOT;
        let mut followed = 0;
        // What is still to be walked, the next name last; usually all of it is walked without a link.
        let mut names = reversed(path);
        while let Some(name) = names.pop() {
            if name == ".." {
                at = self.node(at).parent;
                continue;
            }
            let next = self.child(at, &name)?;
            if let Some(target) = self.links.get(&next) {
                followed += 1;
                let parts = reversed(target);
                if followed > limits::LINKS || names.len() + parts.len() > limits::PATH {
                    return Err(lost(format!("{}: links lead in a circle", super::shown(path))));
                }
                if target.is_absolute() {
                    at = ROOT;
                }
                names.extend(parts);
                continue;
            }
            if self.node(next).solid == self.layer {
                return Err(lost(format!(
                    "{}: it is no directory, but something is in it",
                    super::shown(&self.path(Id(next)))
                )));
            }
            at = next;
        }
        Ok((at, followed > 0))
    }

    fn child(&mut self, parent: u32, name: &OsStr) -> Result<u32, Error> {
        let hash = self.key.hash_one((parent, name.as_bytes()));
        let first = self.index.get(&hash).copied().unwrap_or(0);
        let mut at = first;
        while at != 0 {
            let node = self.node(at);
            if node.parent == parent && self.name(node) == name.as_bytes() {
                return Ok(at);
            }
            at = node.next;
        }
        let too_many = || {
            Error::new(ErrorKind::FileTooLarge, format!("the image has more than {} entries", self.most - 1))
        };
        let names = || Error::new(ErrorKind::FileTooLarge, "the image's names are too long to be kept");
        let id = u32::try_from(self.nodes.len()).ok().filter(|_| self.nodes.len() < self.most);
        let id = id.ok_or_else(too_many)?;
        let (Ok(start), Ok(length)) = (u32::try_from(self.names.len()), u16::try_from(name.len())) else {
            return Err(names());
        };
        if self.names.len() + name.len() > limits::NAMES {
            return Err(names());
        }
        self.names.extend_from_slice(name.as_bytes());
        self.nodes.push(Node::new(parent, start, length, first));
        self.index.insert(hash, id);
        Ok(id)
    }

    fn node(&self, id: u32) -> &Node {
        // Ids come from this tree alone.
        self.nodes.get(id as usize).unwrap_or(&NOTHING)
    }

    fn name(&self, node: &Node) -> &[u8] {
        let start = node.name as usize;
        self.names.get(start..start + usize::from(node.length)).unwrap_or_default()
    }

    /// The path of a place.
    pub fn path(&self, id: Id) -> PathBuf {
        let (mut at, mut ids) = (id.0, Vec::new());
        while at != ROOT {
            ids.push(at);
            at = self.node(at).parent;
        }
        let mut path = PathBuf::from("/");
        for id in ids.into_iter().rev() {
            path.push(OsStr::from_bytes(self.name(self.node(id))));
        }
        path
    }

    /// Whether the layers above hide what this one has at a place. Of a directory that they only have something in, this
    /// layer tells the owner and the mode.
    pub fn is_hidden(&self, id: Id, is_directory: bool) -> bool {
        let node = self.node(id.0);
        let above = if is_directory { node.there } else { node.there.min(node.inside) };
        if above.min(node.removed) < self.layer {
            return true;
        }
        let mut at = id.0;
        while at != ROOT {
            at = self.node(at).parent;
            let node = self.node(at);
            if node.solid.min(node.emptied).min(node.removed) < self.layer {
                return true;
            }
        }
        false
    }

    /// This layer has something at the place that was asked for last.
    pub fn put(&mut self, id: Id, is_directory: bool, link: Option<&Path>) {
        match link {
            Some(link) => drop(self.links.insert(id.0, link.to_path_buf())),
            None => drop(self.links.remove(&id.0)),
        }
        let layer = self.layer;
        let Some(node) = self.nodes.get_mut(id.0 as usize) else { return };
        node.there = node.there.min(layer);
        if !is_directory {
            node.solid = node.solid.min(layer);
        } else if node.solid == layer {
            // The later of two entries of one layer counts.
            node.solid = NEVER;
        }
        let parent = node.parent;
        self.put_inside(parent);
    }

    /// A thing in a directory makes that directory.
    fn put_inside(&mut self, mut at: u32) {
        while let Some(node) = self.nodes.get_mut(at as usize).filter(|node| node.inside > self.layer) {
            node.inside = self.layer;
            at = node.parent;
        }
    }

    /// This layer removes what the layers below have at a place.
    pub fn remove(&mut self, id: Id) {
        if let Some(node) = self.nodes.get_mut(id.0 as usize) {
            node.removed = node.removed.min(self.layer);
        }
    }

    /// This layer removes what the layers below have in a directory.
    pub fn empty(&mut self, id: Id) {
        if let Some(node) = self.nodes.get_mut(id.0 as usize) {
            node.emptied = node.emptied.min(self.layer);
        }
        self.put_inside(id.0);
    }
}

fn lost(why: String) -> Error {
    Error::new(ErrorKind::InvalidData, why)
}

/// The names of a path, the first one last.
fn reversed(path: &Path) -> Vec<std::ffi::OsString> {
    let name = |component| match component {
        Component::Normal(name) => Some(OsStr::to_owned(name)),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().rev().filter_map(name).collect()
}

/// Takes a hash for what it is.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
