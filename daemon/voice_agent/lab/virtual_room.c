/*
 * The room: one clock, a loudspeaker, a microphone, the air between them, and the recordings of both.
 * Only the clock's thread moves samples through the air; the application's threads move them in and out of
 * the two rings (virtual_card.c). One mutex guards a room.
 */
#define _GNU_SOURCE
#include "virtual_room.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S 1000000000LL
#define TICK_NS 2000000LL        /* of virtual time: well under the shortest block a caller asks for (10 ms) */
#define SHORTEST_SLEEP_NS 50000LL /* about what a sleep costs anyway */
#define FAULT_LOOK_NS 10000000LL /* a fault is injected by hand or by a test: 10 ms is soon enough */
#define HELD_NEWS_NS 5000000LL   /* a line in the log for so much waiting: from these, real time is reckoned */
#define CHUNK 2048               /* samples moved at a time; bounds the stack, not the step of the clock */
#define STUCK_AT 1234            /* what a stuck converter brings: any value but zero */
#define CLOCK_PRIORITY 20        /* above everything ordinary, below the kernel's own threads (50) */

static struct room *rooms;
static pthread_mutex_t rooms_mutex = PTHREAD_MUTEX_INITIALIZER;

/* ---------------------------------------------------------------- small helpers */

static int64_t monotonic_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void log_event_at(struct converter *c, const char *event, uint64_t position)
{
    struct room *room = c->room;
    char line[200];
    int64_t now_ns = room->clock_runs ? room->last_ns : monotonic_ns(); /* both times are of one moment */
    int length = snprintf(line, sizeof line, "%lld %lld %s %s %llu %u %.1f\n", (long long)now_ns,
                          (long long)room->virtual_ns, c->name, event, (unsigned long long)position,
                          c->rate, room->held_ns / 1e6);
    if (write(room->events, line, length) < 0)
        SNDERR("virtual card: events.log: %s", strerror(errno));
}

void log_event(struct converter *c, const char *event)
{
    log_event_at(c, event, c->position);
}

static int open_in(const struct room *room, const char *file, int flags)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/%s", room->directory, file);
    return open(path, flags | O_CLOEXEC, 0666);
}

/* ---------------------------------------------------------------- state of a converter */

bool gone(const struct converter *c)
{
    return c->room->faults & c->gone_fault;
}

static bool flowing(const struct converter *c)
{
    return c->running && !c->xrun && !gone(c) && !(c->room->faults & c->stall_fault);
}

static bool draining(const struct converter *c)
{
    return c->io.state == SND_PCM_STATE_DRAINING;
}

/* Samples in the ring. A reader's own position says what it has consumed: a commit has no callback. */
uint64_t queued(const struct converter *c)
{
    return c->playback ? c->written - c->moved : c->moved - c->io.appl_ptr;
}

bool ready(const struct converter *c)
{
    if (gone(c) || c->xrun)
        return true;
    if (draining(c))
        return queued(c) == 0;
    uint64_t available = c->playback ? c->size - queued(c) : queued(c);
    return available >= c->avail_min;
}

void show_readiness(struct converter *c)
{
    uint64_t token = 1;
    if (!c->open || ready(c) == c->ready_shown)
        return;
    ssize_t done = c->ready_shown ? read(c->ready_fd, &token, 8) : write(c->ready_fd, &token, 8);
    if (done == 8)
        c->ready_shown = !c->ready_shown;
}

/* `position`: of the first sample that is missing, in the recording. */
static void stop_with_xrun(struct converter *c, uint64_t position)
{
    c->xrun = true;
    log_event_at(c, "xrun", position);
}

/* ---------------------------------------------------------------- timeline and recordings */

static double true_rate(const struct converter *c)
{
    return c->rate * (1 + c->ppm * 1e-6);
}

static double timeline_position(const struct converter *c, double virtual_ns)
{
    return c->anchor + (virtual_ns - c->anchor_ns) * true_rate(c) / NS_PER_S;
}

static double timeline_ns(const struct converter *c, double position)
{
    return c->anchor_ns + (position - c->anchor) * NS_PER_S / true_rate(c);
}

/* A new rate begins where the recording stands; the first one begins at the timeline's zero. */
void change_rate(struct converter *c, unsigned rate)
{
    if (rate == c->rate)
        return;
    c->anchor = c->position;
    c->anchor_ns = c->rate ? c->room->virtual_ns : 0;
    c->rate = rate;
}

static void record(struct converter *c, const int16_t *samples, size_t count)
{
    if (write(c->recording, samples, count * 2) != (ssize_t)(count * 2))
        SNDERR("virtual card: recording of the %s: %s", c->name, strerror(errno));
    c->position += count;
}

/* ---------------------------------------------------------------- loudspeaker */

static void take_from_ring(struct converter *c, int16_t *samples, size_t count)
{
    size_t taken = least(count, queued(c));
    for (size_t i = 0; i < taken; i++)
        samples[i] = c->ring[(c->moved + i) % c->size];
    c->moved += taken;
    if ((taken < count && !draining(c)) || (c->room->faults & SPK_XRUN))
        stop_with_xrun(c, c->position + taken);
}

static void run_speaker(struct room *room)
{
    struct converter *c = &room->speaker;
    uint64_t end = timeline_position(c, room->virtual_ns);
    while (c->rate && c->position < end) {
        int16_t samples[CHUNK] = {0};
        size_t count = least(end - c->position, CHUNK);
        if (flowing(c))
            take_from_ring(c, samples, count);
        emit(room, c->position, samples, count);
        record(c, samples, count);
    }
}

/* ---------------------------------------------------------------- microphone */

/* Whole samples waiting in mic.fifo; `*writer` tells whether somebody still has it open for writing. */
static size_t fifo_samples(const struct room *room, bool *writer)
{
    struct pollfd state = {.fd = room->fifo, .events = POLLIN};
    int bytes = 0;
    *writer = poll(&state, 1, 0) >= 0 && !(state.revents & POLLHUP);
    return ioctl(room->fifo, FIONREAD, &bytes) < 0 ? 0 : bytes / 2;
}

static void hear_the_room(struct room *room, int16_t *samples, size_t count)
{
    bool writer;
    size_t waiting = fifo_samples(room, &writer);
    if (waiting && !room->speech) {
        room->speech = true;
        log_event(&room->microphone, "speech");
    }
    if (waiting && read(room->fifo, samples, least(waiting, count) * 2) < 0)
        SNDERR("virtual card: mic.fifo: %s", strerror(errno));
    if (room->speech && !writer && waiting <= count) {
        room->speech = false;
        log_event_at(&room->microphone, "quiet", room->microphone.position + waiting);
    }
}

/* What the loudspeaker sounded like `echo_ms` ago, interpolated where the two converters' samples do not coincide. */
static double echo_at(const struct room *room, uint64_t mic_position)
{
    const struct converter *speaker = &room->speaker;
    double then_ns = timeline_ns(&room->microphone, mic_position) - room->echo_ms * 1e6;
    double at = timeline_position(speaker, then_ns);
    int64_t before = floor(at);
    if (before < 0 || (uint64_t)before + 1 >= speaker->position || speaker->position - before >= AIR_SAMPLES)
        return 0;
    double part = at - before;
    return (1 - part) * room->air[before % AIR_SAMPLES] + part * room->air[(before + 1) % AIR_SAMPLES];
}

static void add_echo(const struct room *room, int16_t *samples, size_t count)
{
    if (room->echo_gain <= 0 || !room->speaker.rate)
        return;
    for (size_t i = 0; i < count; i++) {
        double echo = room->echo_gain * echo_at(room, room->microphone.position + i);
        samples[i] = lrint(fmax(INT16_MIN, fmin(INT16_MAX, samples[i] + echo)));
    }
}

/* White and nearly Gaussian, of unit power; the same at the same place in every run (SplitMix64 by Steele, Lea
 * and Flood, 2014; four 16-bit words of it add up). */
static double noise_at(uint64_t position)
{
    uint64_t x = position * 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    double sum = (x & 0xFFFF) + (x >> 16 & 0xFFFF) + (x >> 32 & 0xFFFF) + (x >> 48);
    return (sum - 2 * 65535.0) / (65536 / sqrt(3));
}

static void add_noise(const struct room *room, int16_t *samples, size_t count)
{
    if (room->noise_rms <= 0)
        return;
    for (size_t i = 0; i < count; i++) {
        double noise = room->noise_rms * noise_at(room->microphone.position + i);
        samples[i] = lrint(fmax(INT16_MIN, fmin(INT16_MAX, samples[i] + noise)));
    }
}

/* A converter that runs and brings nothing of the room: muted in hardware, or broken. */
static void go_flat(const struct room *room, int16_t *samples, size_t count)
{
    if (room->faults & (MIC_ZERO | MIC_STUCK))
        for (size_t i = 0; i < count; i++)
            samples[i] = room->faults & MIC_STUCK ? STUCK_AT : 0;
}

static void put_into_ring(struct converter *c, const int16_t *samples, size_t count)
{
    if (count > c->size - queued(c)) {
        stop_with_xrun(c, c->position);
        return;
    }
    for (size_t i = 0; i < count; i++)
        c->ring[(c->moved + i) % c->size] = samples[i];
    c->moved += count;
}

static void run_microphone(struct room *room)
{
    struct converter *c = &room->microphone;
    uint64_t end = timeline_position(c, room->virtual_ns);
    while (c->rate && c->position < end) {
        int16_t samples[CHUNK] = {0};
        size_t count = least(end - c->position, CHUNK);
        if (flowing(c)) {
            hear_the_room(room, samples, count);
            add_echo(room, samples, count);
            add_noise(room, samples, count);
            go_flat(room, samples, count);
            put_into_ring(c, samples, count);
        }
        record(c, samples, count);
    }
}

/* ---------------------------------------------------------------- clock */

void look_for_faults(struct room *room)
{
    static const char *const names[] = {"spk-gone",  "mic-gone", "spk-stall", "mic-stall",
                                        "spk-xrun", "mic-zero", "mic-stuck"};
    char text[256] = "";
    int file = open_in(room, "fault", O_RDONLY);
    if (file >= 0) {
        ssize_t length = read(file, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        close(file);
    }
    room->faults = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        room->faults |= strstr(text, names[i]) ? 1u << i : 0;
    look_for_response(room);
    room->faults_read_ns = monotonic_ns();
}

/* How far a converter lets the clock go, one sample short of an xrun (positions round differently). */
static int64_t step_that_suits(const struct converter *c, uint64_t samples)
{
    return samples ? (samples - 1) * NS_PER_S / true_rate(c) : 0;
}

/* The longest step after which nobody is late. */
static int64_t elastic_step(const struct room *room, int64_t step)
{
    const struct converter *speaker = &room->speaker, *microphone = &room->microphone;
    if (flowing(speaker) && !draining(speaker))
        step = least(step, step_that_suits(speaker, queued(speaker)));
    if (flowing(microphone)) {
        bool writer;
        size_t waiting = fifo_samples(room, &writer);
        step = least(step, step_that_suits(microphone, microphone->size - queued(microphone)));
        if (writer)
            step = least(step, step_that_suits(microphone, waiting));
    }
    return step;
}

static void advance(struct room *room)
{
    int64_t now = monotonic_ns();
    int64_t wanted = (now - room->last_ns) * room->speed;
    int64_t step = room->elastic ? elastic_step(room, wanted) : wanted;
    room->held_ns += wanted - step;
    if (room->held_ns - room->held_told_ns >= HELD_NEWS_NS) {
        room->held_told_ns = room->held_ns;
        room->last_ns = now - step / room->speed; /* it waited first: what it plays now may have come just now */
        log_event(&room->speaker, "held");
    }
    room->last_ns = now;
    room->virtual_ns += step;
    if (now - room->faults_read_ns > FAULT_LOOK_NS)
        look_for_faults(room);
    run_speaker(room); /* first: the echo needs what is being played in this very step */
    run_microphone(room);
    show_readiness(&room->speaker);
    show_readiness(&room->microphone);
}

/* What begins or ends now must not begin with the last tick, which may have been long ago. */
void tick_now(struct room *room)
{
    if (room->clock_runs)
        advance(room);
}

static void *run_clock(void *argument)
{
    struct room *room = argument;
    struct sched_param priority = {.sched_priority = CLOCK_PRIORITY};
    pthread_setschedparam(pthread_self(), SCHED_RR, &priority); /* refused to ordinary users, and harmless so */
    pthread_mutex_lock(&room->mutex);
    for (;;) {
        advance(room);
        int64_t due = monotonic_ns() + (int64_t)fmax(SHORTEST_SLEEP_NS, TICK_NS / room->speed);
        struct timespec at = {.tv_sec = due / NS_PER_S, .tv_nsec = due % NS_PER_S};
        pthread_cond_timedwait(&room->moved, &room->mutex, &at);
    }
    return NULL;
}

int start_clock(struct room *room)
{
    pthread_t thread;
    if (room->clock_runs)
        return 0;
    room->last_ns = monotonic_ns();
    int error = pthread_create(&thread, NULL, run_clock, room);
    if (error)
        return -error;
    pthread_detach(thread);
    room->clock_runs = true;
    return 0;
}

/* An elastic clock need not sleep out its tick when the application has just caught up. */
void application_moved(struct converter *c)
{
    show_readiness(c);
    if (c->room->elastic)
        pthread_cond_signal(&c->room->moved);
}

/* ---------------------------------------------------------------- rooms */

/* Open for reading only, so that the writers' coming and going shows. Until the first writer has come and
 * gone Linux does not report POLLHUP: be that first writer. */
static int open_fifo(const struct room *room)
{
    char path[PATH_MAX + 32];
    snprintf(path, sizeof path, "%s/mic.fifo", room->directory);
    if (mkfifo(path, 0666) < 0 && errno != EEXIST)
        return -1;
    int fifo = open_in(room, "mic.fifo", O_RDONLY | O_NONBLOCK);
    int writer = open_in(room, "mic.fifo", O_WRONLY | O_NONBLOCK);
    if (writer >= 0)
        close(writer);
    return fifo;
}

/* Recordings are appended to: another process, or a listing of the devices, must not wipe what was played. */
static int open_recording(struct converter *c, const char *file)
{
    c->recording = open_in(c->room, file, O_WRONLY | O_CREAT | O_APPEND);
    off_t bytes = c->recording < 0 ? -1 : lseek(c->recording, 0, SEEK_END);
    c->position = bytes < 0 ? 0 : bytes / 2;
    return bytes < 0 ? -1 : 0;
}

static int open_files(struct room *room)
{
    if (open_recording(&room->speaker, "speaker.raw") < 0 || open_recording(&room->microphone, "mic.raw") < 0)
        return -1;
    room->events = open_in(room, "events.log", O_WRONLY | O_CREAT | O_APPEND);
    room->fifo = open_fifo(room);
    return room->events < 0 || room->fifo < 0 ? -1 : 0;
}

static void make_sync(struct room *room)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&room->moved, &monotonic);
    pthread_mutex_init(&room->mutex, NULL);
}

static struct room *new_room(const char *directory)
{
    struct room *room = calloc(1, sizeof *room);
    if (!room)
        return NULL;
    room->speaker = (struct converter){
        .room = room, .name = "speaker", .playback = true, .gone_fault = SPK_GONE, .stall_fault = SPK_STALL};
    room->microphone = (struct converter){
        .room = room, .name = "mic", .gone_fault = MIC_GONE, .stall_fault = MIC_STALL};
    room->air = calloc(AIR_SAMPLES, sizeof *room->air);
    make_sync(room);
    int length = snprintf(room->directory, PATH_MAX, "%s", directory);
    if (room->air && length < PATH_MAX && open_files(room) == 0)
        return room;
    SNDERR("virtual card: cannot use %s: %s", directory, strerror(errno));
    free(room->air);
    free(room);
    return NULL;
}

/* Rooms live until the process ends: a device that is reopened goes on where its timeline stands. */
struct room *find_room(const char *directory)
{
    pthread_mutex_lock(&rooms_mutex);
    struct room *room = rooms;
    while (room && strcmp(room->directory, directory) != 0)
        room = room->next;
    if (!room && (room = new_room(directory))) {
        room->next = rooms;
        rooms = room;
    }
    pthread_mutex_unlock(&rooms_mutex);
    return room;
}
