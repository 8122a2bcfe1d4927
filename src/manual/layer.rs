//! The man page of `evercall layer`, beyond its options.

use super::Section;

/// Of `evercall layer`.
pub const LAYER: &[Section] = &[
    (
        "EXIT STATUS",
        &[
            ("0", "done"),
            (
                "1",
                "an error: a wrong option, an image that is damaged or holds nothing that evercall can be loaded into. \
                 Nothing is written then, and IMAGE is never changed",
            ),
        ],
    ),
    (
        "IMAGES",
        &[
            (
                "forms",
                "OCI layouts (directories) and archives of them, Docker archives (docker save, podman save), archives also \
                 compressed by gzip or zstd. OUT has the form of IMAGE, and is not compressed as a whole, or that of --to. \
                 It appears when it is whole",
            ),
            (
                "what changes",
                "a layer is added, and the config and manifest say so: diff id, history, LD_PRELOAD in Env, labels and \
                 annotations org.evercall.*, org.opencontainers.image.base.digest and base.name. Blobs are copied as they \
                 are, and held against their digests. The same IMAGE, options and evercall give the same digest; new \
                 files are of the time in SOURCE_DATE_EPOCH, else of 1970",
            ),
            (
                "platforms",
                "in an index every image for linux/amd64 that has a dynamic loader gets its layer; others pass through. \
                 Attestations and signatures of a changed image are left out, since they speak of the one before. \
                 --platform writes one platform alone",
            ),
            (
                "again",
                "an image that has the layer already gets the new one in its place; if that is the same, nothing changes",
            ),
            (
                "--remove",
                "where no layer came on top, manifest and config have the digests of before, byte for byte. Attestations \
                 do not come back",
            ),
        ],
    ),
    (
        "THE SELF-TEST",
        &[
            (
                "what runs",
                "before anything is written, for each loader of the image one harmless program of it, else its entry point \
                 with --version, else the loader with --list: once bare and once with the layer. The library must have \
                 been loaded, the exit status must be the same, and the loader may say nothing new. Else nothing is \
                 written, and the exit status is 1. Where no program can be run, --no-self-test is needed; the image says \
                 in its label org.evercall.self-test which it was",
            ),
            (
                "where",
                "in user, mount, pid, network, ipc and uts namespaces of its own, with a root of its own that holds what \
                 the program needs and no more, without capabilities and without a network, under limits of time, \
                 memory and processes. As root, it runs as nobody",
            ),
        ],
    ),
    (
        "STATIC PROGRAMS",
        &[(
            "--static",
            "a copy with the same path, mode, owner and time, which names the library as its ELF interpreter. Its \
                 calls of the vsyscall page are answered, and RLIMIT_NOFILE is capped; its other calls stay its own. \
                 Without GLOB: programs that hold an address of that page. Not copied, and told: programs with setuid, \
                 setgid, file capabilities or a signature, packed ones, those with data behind the ELF file, with a \
                 second hard link, or without a program header to spare",
        )],
    ),
    (
        "LOADING",
        &[
            (
                "env",
                "LD_PRELOAD in the image's config, in front of what is in it already. Every process of a container has \
                 it, also by docker exec and kubectl exec, and evercall keeps it through programs that clear their \
                 environment. -e LD_PRELOAD= of docker run and env of a pod replace it. This is what auto means",
            ),
            (
                "preload-file",
                "/etc/ld.so.preload, in front of what is in it already. glibc alone reads it; programs that gain rights \
                 (setuid) do, too, and nothing in the environment switches it off but EVERCALL=off",
            ),
            ("both", "both; the library is loaded once"),
            (
                "the path",
                "/usr/lib/evercall/LIB/libevercall.so, where LIB is what glibc's loader takes $LIB for, or lib. Where the \
                 image also has a glibc loader for 32-bit programs, the path holds $LIB itself, and a stub that does \
                 nothing lies where that loader looks, so that it has nothing to complain of",
            ),
            (
                "privileged programs",
                "where the image has no setuid, setgid or file-capability program, /etc/evercall.conf says so \
                 (privileged_programs = none), which lets the repair filter be installed by itself. Who adds such a \
                 program in a later layer must take that line out",
            ),
        ],
    ),
    (
        "EXAMPLES",
        &[
            (
                "docker save legacy:1 | evercall layer - -o fixed.tar && docker load -i fixed.tar",
                "a layer for legacy:1",
            ),
            ("evercall layer legacy.tar -o - --tag legacy:fixed | podman load", "under another name"),
            (
                "skopeo copy docker://REGISTRY/legacy:1 oci:legacy:1 && evercall layer legacy -o fixed",
                "an OCI layout",
            ),
        ],
    ),
    (
        "JSON",
        &[(
            "--show --format json",
            "an object with image and images, each with reference, platform, manifest and evercall: null, or version, \
                 layer (diff_id, number, of, present), load, preload, ld_preload, ld_preload_intact, libraries (path, abi, \
                 digest, intact), privileged_programs, base (manifest, config)",
        )],
    ),
    (
        "ENVIRONMENT",
        &[
            ("EVERCALL_LIB", "the library to put in, where --lib is not given"),
            ("SOURCE_DATE_EPOCH", "the time of new files and of the history's entry, in seconds since 1970"),
            (
                "TMPDIR",
                "where an archive that comes through a pipe, or is compressed, is kept while it is read",
            ),
        ],
    ),
];
