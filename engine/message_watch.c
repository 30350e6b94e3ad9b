// SPDX-License-Identifier: Apache-2.0
// message_watch.c: how long messages take, and how much of that the device waits.
#include "engine/message_private.h"
#include "hostlib/pulse.h"

void sy_messages_watch(struct sy_session *s, enum sy_message_watch watch)
{
    if (s->messages != NULL)
        s->messages->watch = watch;
}

struct sy_message_time sy_messages_time(const struct sy_session *s, size_t leg) { return s->messages->times[leg]; }

const struct sy_legs *sy_session_legs(const struct sy_session *s) { return &s->segments.legs; }

void sy_session_profile(struct sy_session *s, uint64_t **ns) { s->profile = ns; }

/// All ranks have come here.
static enum sy_status meet(struct sy_session *s)
{
    uint64_t nothing = 0;
    return s->messages->watch == SY_WATCH_ALONE ? sy_layout_add(s->ctx, s->graph->ranks, &nothing, 1) : SY_OK;
}

enum sy_status sy_watch_begin(struct sy_session *s)
{
    if (s->messages->watch == SY_WATCH_NOTHING)
        return SY_OK;
    SY_TRY(sy_device_wait(s->device));
    SY_TRY(meet(s));
    s->messages->sent = s->graph->ranks->group->sent;
    s->messages->began = sy_pulse_now();
    return SY_OK;
}

enum sy_status sy_watch_sent(struct sy_session *s, struct sy_parcel *p)
{
    struct sy_message_time *t = &s->messages->times[p->leg];
    if (s->messages->watch == SY_WATCH_NOTHING)
        return SY_OK;
    SY_TRY(meet(s));
    *t = (struct sy_message_time){.bytes = 0};
    for (size_t i = 0; i < p->count; ++i)
        t->bytes += p->list[i].send ? p->list[i].bytes : 0;
    t->sent_at = sy_pulse_now();
    return SY_OK;
}

void sy_watch_arrived(struct sy_session *s, const struct sy_parcel *p)
{
    struct sy_message_time *t = &s->messages->times[p->leg];
    if (s->messages->watch == SY_WATCH_NOTHING)
        return;
    t->arrived_at = sy_pulse_now();
    t->travel_s = t->arrived_at - t->sent_at;
}

void sy_watch_done(struct sy_session *s, uint32_t leg)
{
    struct sy_messages *m = s->messages;
    const double now = sy_pulse_now();
    if (m->watch != SY_WATCH_NOTHING)
        m->times[leg] = (struct sy_message_time){.bytes = s->graph->ranks->group->sent - m->sent,
                                                 .travel_s = now - m->began,
                                                 .sent_at = m->began,
                                                 .idle_at = m->began,
                                                 .arrived_at = now};
}

struct sy_drain *sy_watch_drain(struct sy_session *s)
{
    struct sy_drain *free = NULL;
    for (uint32_t i = 0; i < SY_DRAINS && s->messages->watch == SY_WATCH_TOGETHER; ++i) {
        struct sy_drain *d = &s->messages->drains[i];
        bool done = true;
        if (d->event != NULL && sy_event_done(d->event, &done) == SY_OK && done)
            sy_event_destroy(&d->event);
        free = d->event == NULL ? d : free;
    }
    if (free != NULL &&
        sy_runtime_read_start(s->runtime, s->graph->step_constants, 0, 1, &free->word, &free->event) != SY_OK)
        return NULL; // the device is lost: whoever uses it next says so
    return free;
}

enum sy_status sy_watch_idle(struct sy_drain *drain, double *at)
{
    bool done = false;
    if (drain == NULL || *at != 0.0)
        return SY_OK;
    SY_TRY(sy_event_done(drain->event, &done));
    *at = done ? sy_pulse_now() : 0.0;
    return SY_OK;
}

void sy_watch_waited(struct sy_session *s, const struct sy_parcel *p, double idle)
{
    struct sy_message_time *t = &s->messages->times[p->leg];
    if (s->messages->watch != SY_WATCH_NOTHING && idle < t->arrived_at)
        t->idle_at = idle;
}
