/*
 * Times files of cgroup v1 that a file rule makes on a host with v2 alone, opened, read and closed, against the file of
 * v2 that they are made from. Nothing is printed where they are not there.
 */
#include <fcntl.h>
#include <unistd.h>

#include "compare.h"

static void read_file(void *path, int times)
{
	char text[4096];

	for (int i = 0; i < times; i++) {
		int file = open(path, O_RDONLY);

		while (read(file, text, sizeof text) > 0)
			;
		close(file);
	}
}

int main(void)
{
	static char limit[] = "/sys/fs/cgroup/memory/memory.limit_in_bytes", max[] = "/sys/fs/cgroup/memory.max";
	static char groups[] = "/proc/self/cgroup";

	if (access(max, R_OK) || access(limit, R_OK))
		return 0;
	compare("memory.limit_in_bytes against memory.max", (struct way){ read_file, max },
		(struct way){ read_file, limit }, 100);
	compare("/proc/self/cgroup against memory.max", (struct way){ read_file, max },
		(struct way){ read_file, groups }, 100);
	return 0;
}
