/*
 * The air of a room: what the loudspeaker emits arrives as often as the room has reflections. `echo.ir` in the
 * room's directory holds its response as float32 taps at the loudspeaker's rate; a file put in its place is
 * another room from that moment on. Without one the air brings what was emitted, once.
 */
#define _GNU_SOURCE
#include "virtual_room.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_TAPS (1 << 15)
#define CHUNK 256 /* samples convolved at a time */

struct air {
    float *taps;    /* NULL: no response */
    size_t count;
    float *emitted; /* the last `count - 1` samples before the ones that fly now, and room for those */
    size_t silent;  /* samples of silence that were emitted last */
    ino_t inode;    /* of the file that was read */
};

static void forget_response(struct air *air)
{
    free(air->taps);
    free(air->emitted);
    *air = (struct air){0};
}

static void read_response(struct air *air, int file, const struct stat *state)
{
    size_t count = least(state->st_size / sizeof *air->taps, MOST_TAPS);
    forget_response(air);
    air->inode = state->st_ino;
    if (!count)
        return;
    air->taps = calloc(count, sizeof *air->taps);
    air->emitted = calloc(count + CHUNK, sizeof *air->emitted);
    if (!air->taps || !air->emitted || read(file, air->taps, count * sizeof *air->taps) < 0)
        forget_response(air);
    else
        air->count = count;
}

/* A response is replaced by renaming, so that the inode tells. */
void look_for_response(struct room *room)
{
    char path[PATH_MAX + 32];
    struct stat state;
    if (!room->response && !(room->response = calloc(1, sizeof *room->response)))
        return;
    snprintf(path, sizeof path, "%s/echo.ir", room->directory);
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        forget_response(room->response);
        return;
    }
    if (fstat(file, &state) == 0 && state.st_ino != room->response->inode)
        read_response(room->response, file, &state);
    close(file);
}

/* Tap by tap and not sample by sample: so the compiler can do four samples at once. */
__attribute__((optimize("O3"))) static void convolve(const struct air *air, float *restrict out, size_t count)
{
    for (size_t tap = 0; tap < air->count; tap++) {
        const float gain = air->taps[tap], *from = air->emitted + air->count - 1 - tap;
        for (size_t i = 0; i < count; i++)
            out[i] += gain * from[i];
    }
}

static void fly_through(struct air *air, float *samples, size_t count)
{
    float heard[CHUNK] = {0};
    float *newest = air->emitted + air->count - 1;
    memcpy(newest, samples, count * sizeof *samples);
    if (air->silent < air->count)
        convolve(air, heard, count);
    memmove(air->emitted, air->emitted + count, (air->count - 1) * sizeof *heard);
    memcpy(samples, heard, count * sizeof *heard);
}

/* A small loudspeaker bends its peaks. */
static float bent(const struct room *room, float sample)
{
    return room->clip > 0 ? room->clip * tanhf(sample / room->clip) : sample;
}

/* From the loudspeaker at `position` to everywhere in the room; the way to the microphone is not in it. */
void emit(struct room *room, uint64_t position, const int16_t *samples, size_t count)
{
    struct air *air = room->response;
    for (size_t done = 0; done < count;) {
        float piece[CHUNK];
        size_t now = least(count - done, CHUNK);
        for (size_t i = 0; i < now; i++)
            piece[i] = bent(room, samples[done + i]);
        if (air && air->taps) {
            for (size_t i = 0; i < now; i++)
                air->silent = piece[i] == 0 ? air->silent + 1 : 0;
            fly_through(air, piece, now);
        }
        for (size_t i = 0; i < now; i++)
            room->air[(position + done + i) % AIR_SAMPLES] = piece[i];
        done += now;
    }
}
