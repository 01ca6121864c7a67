/*
 * A virtual sound card inside the process: an ALSA I/O plugin with a clock, a loudspeaker, a microphone and
 * some air between them. No kernel module, no daemon, no privileges; PortAudio's real ALSA code runs on it.
 *
 * The devices opened for one directory are one room. A room has one clock, and everything in it is counted
 * from that clock's zero (the first device that is set up), so the two recordings share one timeline:
 *
 *     virtual time   0 ------------------------------------------------------------> now
 *     speaker.raw    0 0 played played played 0 0 (closed) 0 0 played played
 *     mic.raw        0 0 0 0 (closed) 0 heard heard heard heard heard heard
 *
 *     speaker.raw    s16le mono: what left the loudspeaker; zeros while it is closed, stopped or starved
 *     mic.raw        s16le mono: what the microphone brought, echo included; zeros likewise
 *     mic.fifo       s16le mono at the microphone's rate: what is said in the room; taken only while capture runs
 *     fault          any of spk-gone mic-gone spk-stall mic-stall spk-xrun mic-zero mic-stuck; an emptied file heals
 *     echo.ir        float32: how the room responds to the loudspeaker (virtual_air.c), if it is there
 *     events.log     monotonic_ns virtual_ns speaker|mic event position rate held_ms
 *
 * A plain clock is real time (times `speed`): an application that is late gets an xrun, as from hardware. An
 * elastic clock waits for a late application instead, and for a writer who has opened mic.fifo but not yet
 * written, so no sample is ever lost however loaded the machine is. The clock has nothing else to wait for:
 * a stopped, stalled or closed device never holds it.
 *
 *     pcm.x { type voice_agent_card  directory "/room"  [only playback|capture] [rate 24000] [channels 2]
 *             [elastic 1] [speed 4] [ppm 0] [echo_db -12] [echo_ms 40] [noise_db -70] [clip_db -12] }
 *
 * Build: gcc -shared -fPIC -DPIC -Wl,-z,nodelete virtual_card.c virtual_room.c virtual_air.c -lasound -lpthread -lm
 * nodelete matters: Pa_Terminate makes alsa-lib unload its plugins, but the clock's thread and the timeline
 * must outlive a reopened device.
 */
#define _GNU_SOURCE
#include "virtual_room.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

_Static_assert(sizeof(snd_pcm_uframes_t) == 8, "positions are handed to alsa-lib without wrapping");

struct settings {
    const char *directory, *only;
    double rate, channels, elastic, speed, ppm, echo_db, echo_ms, noise_db, clip_db;
};

/* ---------------------------------------------------------------- callbacks of the I/O plugin */

static struct converter *enter(snd_pcm_ioplug_t *io)
{
    struct converter *c = io->private_data;
    pthread_mutex_lock(&c->room->mutex);
    return c;
}

static void leave(struct converter *c)
{
    pthread_mutex_unlock(&c->room->mutex);
}

static int card_hw_params(snd_pcm_ioplug_t *io, snd_pcm_hw_params_t *params)
{
    (void)params;
    struct converter *c = enter(io);
    int16_t *ring = calloc(io->buffer_size, sizeof *ring);
    int error = ring ? start_clock(c->room) : -ENOMEM;
    if (!error) {
        free(c->ring);
        c->ring = ring;
        c->size = io->buffer_size;
        c->avail_min = io->period_size;
        c->written = c->moved = 0;
        change_rate(c, io->rate);
        log_event(c, "setup");
    }
    leave(c);
    return error;
}

static int card_sw_params(snd_pcm_ioplug_t *io, snd_pcm_sw_params_t *params)
{
    snd_pcm_uframes_t avail_min;
    snd_pcm_sw_params_get_avail_min(params, &avail_min);
    struct converter *c = enter(io);
    c->avail_min = avail_min;
    leave(c);
    return 0;
}

static int card_prepare(snd_pcm_ioplug_t *io)
{
    struct converter *c = enter(io);
    c->running = c->xrun = false;
    c->written = c->moved = 0;
    show_readiness(c);
    int error = gone(c) ? -ENODEV : 0;
    leave(c);
    return error;
}

static int card_start(snd_pcm_ioplug_t *io)
{
    struct converter *c = enter(io);
    tick_now(c->room);
    c->running = true;
    log_event(c, "start");
    leave(c);
    return 0;
}

static int card_stop(snd_pcm_ioplug_t *io)
{
    struct converter *c = enter(io);
    tick_now(c->room);
    if (c->running)
        log_event(c, "stop");
    c->running = false;
    application_moved(c);
    leave(c);
    return 0;
}

/* alsa-lib turns any error into an xrun; that the device is gone is then learnt from prepare. */
static snd_pcm_sframes_t card_pointer(snd_pcm_ioplug_t *io)
{
    struct converter *c = enter(io);
    snd_pcm_sframes_t position = gone(c) ? -ENODEV : c->xrun ? -EPIPE : (snd_pcm_sframes_t)c->moved;
    leave(c);
    return position;
}

static int16_t *frame_at(const snd_pcm_channel_area_t *area, snd_pcm_uframes_t offset)
{
    return (int16_t *)((char *)area->addr + (area->first + area->step * offset) / 8);
}

/* The channels meet in the air: one loudspeaker plays their mean. */
static void write_to_ring(struct converter *c, const snd_pcm_channel_area_t *areas, snd_pcm_uframes_t offset,
                          snd_pcm_uframes_t count)
{
    for (snd_pcm_uframes_t i = 0; i < count; i++) {
        int sum = 0;
        for (unsigned channel = 0; channel < c->io.channels; channel++)
            sum += *frame_at(&areas[channel], offset + i);
        c->ring[(c->io.appl_ptr + i) % c->size] = sum / (int)c->io.channels;
    }
    c->written = c->io.appl_ptr + count;
}

/* Copies without consuming: with mmap the same samples may be asked for again until they are committed. */
static void read_from_ring(const struct converter *c, const snd_pcm_channel_area_t *areas,
                           snd_pcm_uframes_t offset, snd_pcm_uframes_t count)
{
    for (snd_pcm_uframes_t i = 0; i < count; i++)
        for (unsigned channel = 0; channel < c->io.channels; channel++)
            *frame_at(&areas[channel], offset + i) = c->ring[(c->io.appl_ptr + i) % c->size];
}

static snd_pcm_sframes_t card_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                       snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct converter *c = enter(io);
    if (c->room->elastic)
        tick_now(c->room); /* until now the clock has waited for these samples, however late its tick is */
    snd_pcm_sframes_t count = least(size, c->playback ? c->size - queued(c) : queued(c));
    if (gone(c))
        count = -ENODEV;
    else if (c->playback)
        write_to_ring(c, areas, offset, count);
    else
        read_from_ring(c, areas, offset, count);
    application_moved(c);
    leave(c);
    return count;
}

/* Asked before every wait: a reader's commit is noticed here. */
static int card_poll_descriptors(snd_pcm_ioplug_t *io, struct pollfd *descriptors, unsigned space)
{
    if (space < 1)
        return 0;
    struct converter *c = enter(io);
    descriptors->fd = c->ready_fd;
    descriptors->events = POLLIN;
    application_moved(c);
    leave(c);
    return 1;
}

static int card_poll_revents(snd_pcm_ioplug_t *io, struct pollfd *descriptors, unsigned count,
                             unsigned short *events)
{
    (void)descriptors, (void)count;
    struct converter *c = enter(io);
    unsigned short direction = c->playback ? POLLOUT : POLLIN;
    *events = ready(c) ? direction : 0;
    if (gone(c))
        *events |= POLLERR;
    show_readiness(c);
    leave(c);
    return 0;
}

static void release(struct converter *c)
{
    close(c->ready_fd);
    free(c->ring);
    c->ring = NULL;
    c->open = c->running = false;
}

static int card_close(snd_pcm_ioplug_t *io)
{
    struct converter *c = enter(io);
    log_event(c, "close");
    release(c);
    leave(c);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = card_start,
    .stop = card_stop,
    .pointer = card_pointer,
    .transfer = card_transfer,
    .close = card_close,
    .hw_params = card_hw_params,
    .sw_params = card_sw_params,
    .prepare = card_prepare,
    .poll_descriptors = card_poll_descriptors,
    .poll_revents = card_poll_revents,
};

/* ---------------------------------------------------------------- opening */

static int read_settings(snd_config_t *conf, struct settings *s)
{
    const struct { const char *name; double *number; } numbers[] = {
        {"rate", &s->rate}, {"channels", &s->channels}, {"elastic", &s->elastic}, {"speed", &s->speed},
        {"ppm", &s->ppm}, {"echo_db", &s->echo_db}, {"echo_ms", &s->echo_ms},
        {"noise_db", &s->noise_db}, {"clip_db", &s->clip_db},
    };
    snd_config_iterator_t i, next;
    snd_config_for_each(i, next, conf) {
        snd_config_t *field = snd_config_iterator_entry(i);
        const char *name = "";
        int error = snd_config_get_id(field, &name);
        if (!strcmp(name, "type") || !strcmp(name, "comment") || !strcmp(name, "hint"))
            continue;
        else if (!strcmp(name, "directory"))
            error = snd_config_get_string(field, &s->directory);
        else if (!strcmp(name, "only"))
            error = snd_config_get_string(field, &s->only);
        else {
            error = -EINVAL;
            for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++)
                if (!strcmp(name, numbers[n].name))
                    error = snd_config_get_ireal(field, numbers[n].number);
        }
        if (error < 0) {
            SNDERR("virtual card: cannot read the field %s", name);
            return error;
        }
    }
    return s->directory ? 0 : -EINVAL;
}

/* Of what a setting leaves open, the whole range. */
static int offer_formats(snd_pcm_ioplug_t *io, const struct settings *s)
{
    static const unsigned accesses[] = {SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED};
    static const unsigned formats[] = {SND_PCM_FORMAT_S16_LE};
    const struct { int what; unsigned low, high; } ranges[] = {
        {SND_PCM_IOPLUG_HW_CHANNELS, s->channels ? s->channels : 1, s->channels ? s->channels : 2},
        {SND_PCM_IOPLUG_HW_RATE, s->rate ? s->rate : 8000, s->rate ? s->rate : 48000},
        {SND_PCM_IOPLUG_HW_PERIOD_BYTES, 64, 1 << 16},
        {SND_PCM_IOPLUG_HW_BUFFER_BYTES, 128, 1 << 19},
        {SND_PCM_IOPLUG_HW_PERIODS, 2, 64},
    };
    int error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, accesses);
    if (error >= 0)
        error = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, formats);
    for (size_t i = 0; error >= 0 && i < sizeof ranges / sizeof *ranges; i++)
        error = snd_pcm_ioplug_set_param_minmax(io, ranges[i].what, ranges[i].low, ranges[i].high);
    return error;
}

/* Claims the converter, or says why not: -ENODEV unplugged, -EBUSY already open (a card has no mixer). */
static int claim(struct converter *c, const struct settings *s)
{
    struct room *room = c->room;
    look_for_faults(room);
    if (gone(c))
        return -ENODEV;
    if (c->open)
        return -EBUSY;
    c->ready_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->ready_fd < 0)
        return -errno;
    c->ready_shown = c->running = c->xrun = false;
    c->size = c->avail_min = c->written = c->moved = 0;
    c->ppm = s->ppm;
    room->elastic = s->elastic != 0;
    room->speed = s->speed;
    room->echo_gain = s->echo_db > -200 ? pow(10, s->echo_db / 20) : 0;
    room->echo_ms = s->echo_ms;
    room->noise_rms = s->noise_db > -200 ? 32768 * pow(10, s->noise_db / 20) : 0;
    room->clip = s->clip_db < 0 ? 32768 * pow(10, s->clip_db / 20) : 0;
    c->io = (snd_pcm_ioplug_t){
        .version = SND_PCM_IOPLUG_VERSION,
        .name = "voice-agent virtual card",
        .flags = SND_PCM_IOPLUG_FLAG_BOUNDARY_WA, /* without it a whole ring played at once looks like none */
        .poll_fd = c->ready_fd,
        .poll_events = POLLIN,
        .callback = &callbacks,
        .private_data = c,
    };
    c->open = true;
    log_event(c, "open");
    return 0;
}

SND_PCM_PLUGIN_DEFINE_FUNC(voice_agent_card)
{
    (void)root;
    bool playback = stream == SND_PCM_STREAM_PLAYBACK;
    struct settings s = {.only = "", .speed = 1, .echo_db = -1000, .echo_ms = 40, .noise_db = -1000};
    int error = read_settings(conf, &s);
    if (error < 0)
        return error;
    if (*s.only && strcmp(s.only, playback ? "playback" : "capture") != 0)
        return -ENODEV;
    struct room *room = find_room(s.directory);
    if (!room)
        return -EIO;
    struct converter *c = playback ? &room->speaker : &room->microphone;
    pthread_mutex_lock(&room->mutex);
    error = claim(c, &s);
    pthread_mutex_unlock(&room->mutex);
    if (error < 0)
        return error;
    error = snd_pcm_ioplug_create(&c->io, name, stream, mode);
    if (error < 0) {
        card_close(&c->io);
        return error;
    }
    error = offer_formats(&c->io, &s);
    if (error < 0) {
        snd_pcm_ioplug_delete(&c->io);
        return error;
    }
    *pcmp = c->io.pcm;
    return 0;
}
SND_PCM_PLUGIN_SYMBOL(voice_agent_card)
