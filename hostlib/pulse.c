// SPDX-License-Identifier: Apache-2.0
#include "hostlib/pulse.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ADDRESSES 8        // of one rank; a host has one for each network, and for each virtual one
#define MEET_S 10.0        // how long ranks try to reach each other at the start, at most
#define JUDGE_S 2.0        // for how long a rank is asked who says why the run ends
#define PATIENT_S 0.5      // until others are asked, too, whether they are alive
#define MOST_WAITING 10000 // datagrams that are looked through for one
#define NOBODY UINT32_MAX  // no address, no rank

/// Where a rank listens. Only who knows `secret` is heard there: an address may be another host's in another network.
struct card {
    uint64_t secret;
    uint32_t addresses[ADDRESSES]; ///< IPv4, in network order.
    uint32_t count;                ///< 0: it cannot listen.
    uint16_t port;                 ///< In network order.
};

enum kind { ASK, ANSWER, CLAIM, VERDICT };

struct datagram {
    uint64_t secret;     ///< The receiver's.
    uint32_t from, kind; ///< `from`: the sender's rank.
    uint64_t value;      ///< ASK, ANSWER: the index of the address that was asked. VERDICT: who speaks.
};

struct peer {
    struct card card;
    atomic_uint address;    ///< The index of one that works, or NOBODY.
    atomic_int_fast64_t ns; ///< When it was last heard of.
    atomic_bool gone;
};

struct sy_pulse {
    struct peer *peers;
    uint32_t rank, size;
    int socket, bell;    ///< `bell`: an eventfd that ends the thread.
    atomic_uint speaker; ///< Who says why the run ends, as far as this rank knows: never changed once it is somebody.
    bool running;
    pthread_t thread;
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double sy_pulse_now(void) { return 1e-9 * (double)now_ns(); }

static void nap(double s)
{
    const struct timespec t = {.tv_nsec = (long)(1e9 * s)};
    nanosleep(&t, NULL);
}

static void send_to(const struct sy_pulse *p, uint32_t rank, enum kind kind, uint32_t index)
{
    const struct card *card = &p->peers[rank].card;
    const struct datagram d = {.secret = card->secret, .from = p->rank, .kind = kind, .value = index};
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = card->port, .sin_addr.s_addr = card->addresses[index]};
    // A full queue, an error of an earlier datagram: the next one will tell.
    (void)!sendto(p->socket, &d, sizeof d, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to, sizeof to);
}

// ---- the thread ----------------------------------------------------------------------------------------------------

/// Makes `rank` the speaker unless there is one; returns who is.
static uint32_t judge(struct sy_pulse *p, uint32_t rank)
{
    unsigned nobody = NOBODY;
    return atomic_compare_exchange_strong(&p->speaker, &nobody, rank) ? rank : nobody;
}

/// Takes a datagram, or an error of an earlier one; false: there is none.
static bool hear(struct sy_pulse *p)
{
    struct datagram d;
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(p->socket, &d, sizeof d, MSG_DONTWAIT, (struct sockaddr *)&from, &length);
    if (got != sizeof d || d.secret != p->peers[p->rank].card.secret || d.from >= p->size || d.from == p->rank)
        return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
    struct peer *peer = &p->peers[d.from];
    peer->ns = now_ns();
    struct datagram answer = {.secret = peer->card.secret, .from = p->rank, .kind = ANSWER, .value = d.value};
    if (d.kind == ANSWER && d.value < peer->card.count && peer->address == NOBODY) {
        peer->address = (uint32_t)d.value;
    } else if (d.kind == VERDICT && d.value < p->size) {
        judge(p, (uint32_t)d.value);
    } else if (d.kind == ASK || d.kind == CLAIM) {
        if (d.kind == CLAIM) {
            answer.kind = VERDICT;
            answer.value = judge(p, d.from);
        }
        // To where it came from: of several addresses this one works.
        (void)!sendto(p->socket, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&from, length);
    }
    return true;
}

/// What hosts say of datagrams that were sent: "nobody listens at that port".
static void hear_error(struct sy_pulse *p)
{
    struct sockaddr_in to = {0};
    struct iovec nothing = {0};
    char room[512];
    struct msghdr m = {.msg_name = &to,
                       .msg_namelen = sizeof to,
                       .msg_iov = &nothing,
                       .msg_iovlen = 1,
                       .msg_control = room,
                       .msg_controllen = sizeof room};
    if (recvmsg(p->socket, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return;
    bool refused = false;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c))
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            refused |= e.ee_errno == ECONNREFUSED;
        }
    for (uint32_t r = 0; r < p->size && refused; ++r) {
        struct peer *peer = &p->peers[r];
        const uint32_t i = peer->address; // only one that has worked is the rank's own
        if (i != NOBODY && peer->card.port == to.sin_port && peer->card.addresses[i] == to.sin_addr.s_addr)
            peer->gone = true;
    }
}

static void *listen_on(void *user)
{
    struct sy_pulse *p = user;
    struct pollfd fds[] = {{.fd = p->socket, .events = POLLIN}, {.fd = p->bell, .events = POLLIN}};
    while ((fds[1].revents & POLLIN) == 0) {
        if (poll(fds, SY_COUNT(fds), -1) < 0)
            continue; // interrupted
        if ((fds[0].revents & POLLERR) != 0)
            hear_error(p);
        if ((fds[0].revents & POLLIN) != 0)
            hear(p);
    }
    return NULL;
}

/// Signals are for the program's first thread.
static bool start(struct sy_pulse *p)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    p->running = pthread_create(&p->thread, NULL, listen_on, p) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return p->running;
}

// ---- opening -------------------------------------------------------------------------------------------------------

/// This host's addresses, the loopback's last: it is the only one of a machine without a network.
static uint32_t own_addresses(uint32_t out[ADDRESSES])
{
    uint32_t count = 0;
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        list = NULL;
    for (const struct ifaddrs *i = list; i != NULL && count < ADDRESSES - 1; i = i->ifa_next)
        if (i->ifa_addr != NULL && i->ifa_addr->sa_family == AF_INET && (i->ifa_flags & IFF_UP) != 0 &&
            (i->ifa_flags & IFF_LOOPBACK) == 0)
            out[count++] = ((const struct sockaddr_in *)(const void *)i->ifa_addr)->sin_addr.s_addr;
    if (list != NULL)
        freeifaddrs(list);
    out[count++] = htonl(INADDR_LOOPBACK);
    return count;
}

/// Opens the socket and fills `card`; a card without addresses where that is not possible.
static void take_port(struct sy_pulse *p, struct card *card)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t length = sizeof own;
    const int on = 1;
    memset(card, 0, sizeof *card);
    p->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    p->bell = eventfd(0, EFD_CLOEXEC);
    if (p->socket < 0 || p->bell < 0 || bind(p->socket, (const struct sockaddr *)&own, sizeof own) != 0 ||
        setsockopt(p->socket, IPPROTO_IP, IP_RECVERR, &on, sizeof on) != 0 ||
        getsockname(p->socket, (struct sockaddr *)&own, &length) != 0 ||
        getrandom(&card->secret, sizeof card->secret, 0) != sizeof card->secret)
        return;
    card->port = own.sin_port;
    card->count = own_addresses(card->addresses);
}

/// Asks at every address until each rank has answered at one; returns the number of those that did not.
static uint32_t meet(struct sy_pulse *p, uint32_t *out_first)
{
    uint32_t missing = 0;
    const double end = sy_pulse_now() + MEET_S;
    for (double pause = 0.002;; pause = pause < 0.25 ? 2 * pause : pause) {
        missing = 0;
        for (uint32_t r = p->size; r-- > 0;) {
            if (r == p->rank || sy_pulse_reaches(p, r))
                continue;
            ++missing;
            *out_first = r;
            if (p->running)
                sy_pulse_ask(p, r);
        }
        if (missing == 0 || !p->running || sy_pulse_now() > end)
            return missing;
        nap(pause);
    }
}

/// All ranks learn whether any is missed by another; rank 0 says it.
static enum sy_status report(struct sy_ctx *ctx, struct sy_group *group, uint32_t missing, uint32_t first)
{
    const uint32_t mine[2] = {missing, first};
    uint32_t(*all)[2] = calloc(group->size, sizeof *all);
    if (all == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    enum sy_status status = sy_group_collect(ctx, group, "which ranks hear each other", mine, sizeof mine, all);
    for (uint32_t r = 0; r < group->size && status == SY_OK && group->rank == 0; ++r)
        if (all[r][0] != 0) {
            sy_log(ctx, SY_LOG_WARN,
                   "rank %u does not hear rank %u over UDP (a firewall?): a rank that is not heard is missed after "
                   "%.0f s instead of %g s",
                   r, all[r][1], SY_GROUP_DEAF_S, group->patience_s);
            break;
        }
    free(all);
    return status;
}

enum sy_status sy_pulse_open(struct sy_ctx *ctx, struct sy_group *group, struct sy_pulse **out)
{
    struct sy_pulse *p = calloc(1, sizeof *p);
    struct card mine, *cards = calloc(group->size, sizeof *cards);
    uint32_t first = 0;
    if (p != NULL) {
        *p = (struct sy_pulse){.rank = group->rank, .size = group->size, .socket = -1, .bell = -1, .speaker = NOBODY};
        p->peers = calloc(group->size, sizeof *p->peers);
    }
    if (p == NULL || cards == NULL || p->peers == NULL) {
        free(cards);
        sy_pulse_close(&p);
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    }
    take_port(p, &mine);
    enum sy_status status = sy_group_collect(ctx, group, "where ranks listen", &mine, sizeof mine, cards);
    for (uint32_t r = 0; r < group->size && status == SY_OK; ++r) {
        p->peers[r].card = cards[r];
        if (cards[r].count > ADDRESSES)
            p->peers[r].card.count = 0;
        p->peers[r].address = NOBODY;
    }
    if (status == SY_OK && mine.count != 0)
        start(p);
    if (status == SY_OK) {
        const uint32_t missing = meet(p, &first);
        status = report(ctx, group, missing, first);
    }
    free(cards);
    if (status != SY_OK)
        sy_pulse_close(&p);
    *out = p;
    return status;
}

void sy_pulse_close(struct sy_pulse **pulse)
{
    struct sy_pulse *p = *pulse;
    if (p == NULL)
        return;
    if (p->running && eventfd_write(p->bell, 1) == 0)
        pthread_join(p->thread, NULL);
    if (p->socket >= 0)
        close(p->socket);
    if (p->bell >= 0)
        close(p->bell);
    free(p->peers);
    free(p);
    *pulse = NULL;
}

// ---- asking --------------------------------------------------------------------------------------------------------

bool sy_pulse_reaches(const struct sy_pulse *p, uint32_t rank) { return p->peers[rank].address != NOBODY; }

void sy_pulse_ask(struct sy_pulse *p, uint32_t rank)
{
    const uint32_t known = p->peers[rank].address;
    for (uint32_t i = 0; i < p->peers[rank].card.count; ++i)
        if (known == NOBODY || known == i)
            send_to(p, rank, ASK, i);
}

double sy_pulse_heard(const struct sy_pulse *p, uint32_t rank) { return 1e-9 * (double)p->peers[rank].ns; }
bool sy_pulse_gone(const struct sy_pulse *p, uint32_t rank) { return p->peers[rank].gone; }

void sy_pulse_give_up(struct sy_pulse *p, uint32_t rank) { p->peers[rank].gone = true; }

/// Asks `judge_rank` who speaks until it is known, or that rank is seen not to be there.
static void ask_judge(struct sy_pulse *p, uint32_t judge_rank, double begun)
{
    const double from = sy_pulse_now();
    for (double now = from, pinged = begun; p->speaker == NOBODY && !sy_pulse_gone(p, judge_rank);
         now = sy_pulse_now()) {
        const bool alive = sy_pulse_heard(p, judge_rank) > begun;
        if (now > (alive ? from : begun) + JUDGE_S)
            return;
        send_to(p, judge_rank, CLAIM, p->peers[judge_rank].address);
        for (uint32_t r = judge_rank + 1; r < p->rank && now > pinged + PATIENT_S; ++r)
            sy_pulse_ask(p, r); // so that of several that are missing not each has to be waited for
        pinged = now > pinged + PATIENT_S ? now : pinged;
        nap(0.01);
    }
}

bool sy_pulse_speak(struct sy_pulse *p)
{
    const double begun = sy_pulse_now();
    for (int i = 0; i < MOST_WAITING && p->socket >= 0 && hear(p); ++i)
        continue; // who was stopped until now has a verdict waiting there
    for (uint32_t r = 0; r < p->rank && p->speaker == NOBODY; ++r)
        if (sy_pulse_reaches(p, r))
            ask_judge(p, r, begun);
    const bool me = judge(p, p->rank) == p->rank;
    for (uint32_t r = 0; r < p->size && me; ++r) // the judge may be ended before others ask it
        if (r != p->rank && sy_pulse_reaches(p, r))
            send_to(p, r, VERDICT, p->rank);
    return me;
}
