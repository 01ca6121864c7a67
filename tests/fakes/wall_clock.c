/* The wall clock of one process, moved: preloaded, it adds a number of seconds, which is the whole of a file
 * and may change at any time, to what the process is told. CLOCK_MONOTONIC is left alone.
 *
 * The kernel knows nothing of this, so who waits until a moment on the moved clock (PortAudio does, when it
 * starts a stream) is translated. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t nothing = 0;
static volatile const int64_t *offset_s = &nothing;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("WALL_CLOCK_OFFSET");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *page = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        offset_s = page;
    close(file);
}

/* Straight to the kernel: this may be called before any symbol could be looked up. */
int clock_gettime(clockid_t clock, struct timespec *now) {
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset_s;
    return (int)failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec t;
    int failed = clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec;
    now->tv_usec = t.tv_nsec / 1000;
    return failed;
}

time_t time(time_t *seconds) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (seconds)
        *seconds = t.tv_sec;
    return t.tv_sec;
}

static int64_t distance(int64_t a, int64_t b) {
    return a < b ? b - a : a - b;
}

/* A condition does not say on which clock it waits: a deadline is near to the present of its own. */
int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    struct timespec wall, monotonic, true_deadline = *deadline;
    clock_gettime(CLOCK_REALTIME, &wall);
    clock_gettime(CLOCK_MONOTONIC, &monotonic);
    if (distance(deadline->tv_sec, monotonic.tv_sec) < distance(deadline->tv_sec, wall.tv_sec))
        return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, deadline);
    true_deadline.tv_sec -= *offset_s;
    return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &true_deadline);
}
