// A disk that fails at a chosen moment, for TestFaultAtEveryCall: preloaded
// into a server, it counts the calls that change the files of SQLite and lets
// some of them fail. What it is to do stands in the file that YUBIN_FAULT names,
// four numbers of 32 bits: how many calls go well before the first that fails
// (negative: all do), with which errno, how many fail, and, for the reader, how
// many have failed.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int *plan;

__attribute__((constructor)) static void begin(void)
{
	const char *name = getenv("YUBIN_FAULT");
	int fd = name ? open(name, O_RDWR) : -1;
	if (fd < 0)
		return;
	void *p = mmap(0, 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		plan = p;
	close(fd);
}

static int fails(int fd)
{
	char link[64], name[512];
	ssize_t n;
	if (!plan || plan[0] < 0)
		return 0;
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	n = readlink(link, name, sizeof name - 1);
	if (n < 0)
		return 0;
	name[n] = 0;
	if (!strstr(name, "yubin.db"))
		return 0;
	if (plan[0] > 0) {
		plan[0]--;
		return 0;
	}
	if (plan[2]-- <= 0) {
		plan[0] = -1;
		return 0;
	}
	plan[3]++;
	errno = plan[1];
	return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *b, size_t n, off64_t at) { return fails(fd) ? -1 : REAL(pwrite64)(fd, b, n, at); }
ssize_t pwrite(int fd, const void *b, size_t n, off_t at) { return fails(fd) ? -1 : REAL(pwrite)(fd, b, n, at); }
ssize_t write(int fd, const void *b, size_t n) { return fails(fd) ? -1 : REAL(write)(fd, b, n); }
int fsync(int fd) { return fails(fd) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails(fd) ? -1 : REAL(fdatasync)(fd); }
int ftruncate64(int fd, off64_t n) { return fails(fd) ? -1 : REAL(ftruncate64)(fd, n); }
int ftruncate(int fd, off_t n) { return fails(fd) ? -1 : REAL(ftruncate)(fd, n); }
