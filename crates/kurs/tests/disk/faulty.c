/* A disk that fails on demand, to be preloaded into a program: while the file named by
 * FAULTY_DISK holds a line such as "write 28", calls of that kind on regular files fail with
 * that error number. Kinds: "write", "sync", and "any" for all of these and reading. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

/* The error number with which a call of this kind fails; 0 when it does not. */
static int fault(const char *kind, int fd)
{
	static ssize_t (*real_read)(int, void *, size_t);
	char text[64], which[16];
	struct stat about;
	int number = 0, saved = errno;
	const char *path = getenv("FAULTY_DISK");
	int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (file < 0) {
		errno = saved;
		return 0;
	}
	if (!real_read)
		real_read = (ssize_t (*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
	ssize_t length = real_read(file, text, sizeof text - 1);
	close(file);
	text[length > 0 ? length : 0] = '\0';
	if (sscanf(text, "%15s %d", which, &number) != 2
	    || (strcmp(which, kind) != 0 && strcmp(which, "any") != 0)
	    || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
		number = 0;
	errno = saved;
	return number;
}

#define FAILING(kind, type, name, parameters, arguments)                     \
	type name parameters                                                 \
	{                                                                    \
		static type (*real) parameters;                              \
		int number = fault(kind, fd);                                \
		if (number) {                                                \
			errno = number;                                      \
			return -1;                                           \
		}                                                            \
		if (!real)                                                   \
			real = (type (*) parameters)dlsym(RTLD_NEXT, #name); \
		return real arguments;                                       \
	}

FAILING("write", ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
FAILING("write", ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
FAILING("write", ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t at), (fd, bytes, count, at))
FAILING("write", ssize_t, pwrite64, (int fd, const void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
FAILING("write", int, ftruncate, (int fd, off_t length), (fd, length))
FAILING("write", int, ftruncate64, (int fd, off64_t length), (fd, length))
FAILING("sync", int, fsync, (int fd), (fd))
FAILING("sync", int, fdatasync, (int fd), (fd))
FAILING("any", ssize_t, read, (int fd, void *bytes, size_t count), (fd, bytes, count))
FAILING("any", ssize_t, pread, (int fd, void *bytes, size_t count, off_t at), (fd, bytes, count, at))
FAILING("any", ssize_t, pread64, (int fd, void *bytes, size_t count, off64_t at), (fd, bytes, count, at))
