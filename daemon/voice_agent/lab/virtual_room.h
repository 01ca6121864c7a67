/* The room behind the virtual sound card: see virtual_card.c for what it is and how it is used. */
#ifndef VIRTUAL_ROOM_H
#define VIRTUAL_ROOM_H

#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define AIR_SAMPLES (1 << 18) /* what the air remembers for the echo: 5.4 s at 48 kHz */

struct air;

enum fault { SPK_GONE = 1, MIC_GONE = 2, SPK_STALL = 4, MIC_STALL = 8, SPK_XRUN = 16, MIC_ZERO = 32, MIC_STUCK = 64 };

/* One direction of the card. The ring holds mono samples at `position since prepare % size`. */
struct converter {
    snd_pcm_ioplug_t io;
    struct room *room;
    const char *name;
    bool playback;
    unsigned gone_fault, stall_fault;
    bool open, running, xrun;
    int ready_fd; /* an eventfd that is readable exactly while `ready_shown` */
    bool ready_shown;
    int16_t *ring;
    uint64_t size, avail_min;
    uint64_t written; /* playback only: samples that the application has put into the ring since prepare */
    uint64_t moved;   /* samples that the hardware has taken from, or put into, the ring since prepare */
    unsigned rate;    /* 0 until the first set-up: before that there is nothing to record */
    double ppm;
    int64_t anchor_ns; /* where the current rate began: virtual time and */
    uint64_t anchor;   /* position */
    uint64_t position; /* samples on the timeline so far = samples in the recording */
    int recording;
};

struct room {
    struct room *next;
    char directory[PATH_MAX];
    pthread_mutex_t mutex; /* guards all below; nothing of alsa-lib is called with it held */
    pthread_cond_t moved;  /* the application has written, read or is about to wait */
    bool clock_runs;
    int64_t virtual_ns, last_ns, held_ns, held_told_ns, faults_read_ns;
    unsigned faults;
    bool elastic;
    double speed, echo_gain, echo_ms, noise_rms;
    double clip; /* level at which the loudspeaker bends its peaks, in steps; 0: it does not */
    struct converter speaker, microphone;
    float *air; /* what the last AIR_SAMPLES of speaker.raw sound like, at `position % AIR_SAMPLES` */
    struct air *response;
    int fifo, events;
    bool speech; /* somebody is speaking into mic.fifo */
};

/* Short names of a plugin that is loaded into any process: they must neither meet nor be met by others. */
#pragma GCC visibility push(hidden)

/* The room of a directory, made at first sight; NULL (and a word on stderr) if its files cannot be made. */
struct room *find_room(const char *directory);

/* All below: with the room's mutex held. */
int start_clock(struct room *room);
void tick_now(struct room *room);
void look_for_faults(struct room *room);
void look_for_response(struct room *room);
void emit(struct room *room, uint64_t position, const int16_t *samples, size_t count);
void log_event(struct converter *c, const char *event);
bool gone(const struct converter *c);
uint64_t queued(const struct converter *c);
bool ready(const struct converter *c);
void show_readiness(struct converter *c);
void application_moved(struct converter *c);
void change_rate(struct converter *c, unsigned rate);

#pragma GCC visibility pop

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

#endif
