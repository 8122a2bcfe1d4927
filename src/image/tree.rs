//! The tree of a root: what lies at which path, links resolved inside the root as the kernel would in a chroot.

use super::limits;
use super::tar_entries::{Entry, Kind};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::{Component, Path, PathBuf};

/// What lies at a path.
#[derive(Clone, Debug)]
pub struct Node<T> {
    /// As the layer or the directory has it. A hard link is kept as such.
    pub entry: Entry,
    /// What the tree's maker keeps of its content.
    pub content: T,
}

/// The tree. Made by inserting what [`super::root::walk`] gives.
#[derive(Debug)]
pub struct Tree<T> {
    nodes: BTreeMap<PathBuf, Node<T>>,
}

impl<T> Default for Tree<T> {
    fn default() -> Tree<T> {
        Tree { nodes: BTreeMap::new() }
    }
}

impl<T> Tree<T> {
    /// Adds or replaces what lies at a path. What is no directory has nothing below it: an archive can hold a file where
    /// it held a directory before.
    pub fn insert(&mut self, entry: Entry, content: T) {
        if entry.kind != Kind::Directory {
            let below: Vec<_> = self.below(&entry.path).map(|node| node.entry.path.clone()).collect();
            for path in below {
                self.nodes.remove(&path);
            }
        }
        self.nodes.insert(entry.path.clone(), Node { entry, content });
    }

    /// All of it, in the order of the paths.
    pub fn nodes(&self) -> impl Iterator<Item = &Node<T>> {
        self.nodes.values()
    }

    /// What is exactly at this path; links are not followed.
    pub fn at(&self, path: &Path) -> Option<&Node<T>> {
        self.nodes.get(path)
    }

    /// What this path leads to: symbolic links in every part of it are followed within the root, `..` stops at the root,
    /// a hard link leads to its file. None where nothing is, or where links lead in a circle.
    pub fn resolve(&self, path: &Path) -> Option<&Node<T>> {
        self.file_of(self.at(&self.real_path(path)?)?)
    }

    /// What lies there itself, or the file that a hard link leads to.
    pub fn file_of<'a>(&'a self, mut node: &'a Node<T>) -> Option<&'a Node<T>> {
        for _ in 0..limits::LINKS {
            match &node.entry.kind {
                Kind::Hardlink(target) => node = self.at(target)?,
                _ => return Some(node),
            }
        }
        None
    }

    /// The path that a path leads to, without a symbolic link in it. Its last part need not exist.
    pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
        let mut links = 0;
        let mut real = PathBuf::from("/");
        // What is still to be walked, the next part last.
        let mut parts: Vec<std::ffi::OsString> = Vec::new();
        let push = |parts: &mut Vec<std::ffi::OsString>, path: &Path| {
            parts.extend(path.components().rev().filter_map(|component| match component {
                Component::Normal(part) => Some(part.to_owned()),
                Component::ParentDir => Some("..".into()),
                _ => None,
            }));
        };
        push(&mut parts, path);
        while let Some(part) = parts.pop() {
            if part == ".." {
                real.pop();
                continue;
            }
            real.push(&part);
            if let Some(Node { entry: Entry { kind: Kind::Symlink(target), .. }, .. }) = self.at(&real) {
                links += 1;
                if links > limits::LINKS || parts.len() > limits::PATH {
                    return None;
                }
                real.pop();
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                push(&mut parts, target);
            }
        }
        Some(real)
    }

    /// What lies directly in a directory, whose path leads there without links.
    pub fn children<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = &'a Node<T>> {
        self.below(directory).filter(move |node| node.entry.path.parent() == Some(directory))
    }

    /// All that lies below a directory, at any depth.
    pub fn below<'a>(&'a self, directory: &'a Path) -> impl Iterator<Item = &'a Node<T>> {
        self.nodes
            .range::<Path, _>((Bound::Excluded(directory), Bound::Unbounded))
            .map(|(_, node)| node)
            .take_while(move |node| node.entry.path.starts_with(directory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry {
            path: path.into(),
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: 0,
            capability: false,
            signed: false,
        }
    }

    fn tree(entries: &[(&str, Kind)]) -> Tree<()> {
        let mut tree = Tree::default();
        for (path, kind) in entries {
            tree.insert(entry(path, kind.clone()), ());
        }
        tree
    }

    fn found(tree: &Tree<()>, path: &str) -> Option<String> {
        tree.resolve(Path::new(path)).map(|node| node.entry.path.display().to_string())
    }

    #[test]
    fn links_are_followed_inside_the_root_only() {
        let link = |target: &str| Kind::Symlink(target.into());
        let tree = tree(&[
            ("/lib", link("usr/lib")),
            ("/usr", Kind::Directory),
            ("/usr/lib", Kind::Directory),
            ("/usr/lib/a.so.1", Kind::File),
            ("/usr/lib/a.so", link("a.so.1")),
            ("/usr/lib/out", link("../../../../../../usr/lib/a.so")),
            ("/usr/lib/hard", Kind::Hardlink("/usr/lib/a.so.1".into())),
            ("/round", link("/about")),
            ("/about", link("round")),
        ]);
        assert_eq!(found(&tree, "/lib/a.so").as_deref(), Some("/usr/lib/a.so.1"));
        assert_eq!(found(&tree, "/lib/out").as_deref(), Some("/usr/lib/a.so.1"));
        assert_eq!(found(&tree, "/lib/hard").as_deref(), Some("/usr/lib/a.so.1"));
        assert_eq!(found(&tree, "/round"), None);
        assert_eq!(found(&tree, "/nothing"), None);
    }

    #[test]
    fn children_are_only_those_directly_inside() {
        let tree = tree(&[
            ("/a", Kind::Directory),
            ("/a/b", Kind::Directory),
            ("/a/b/c", Kind::File),
            ("/a/d", Kind::File),
            ("/a.x", Kind::File),
        ]);
        let names: Vec<_> = tree.children(Path::new("/a")).map(|node| node.entry.path.clone()).collect();
        assert_eq!(names, [Path::new("/a/b"), Path::new("/a/d")]);
        assert_eq!(tree.below(Path::new("/a")).count(), 3);
    }
}
