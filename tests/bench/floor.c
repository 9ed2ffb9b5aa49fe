//go:build ignore

/*
 * The floor: a FastCGI responder that answers every request with the same
 * bytes, as cheaply as one thread per kept connection can. It parses record
 * headers only as far as it must to see where a request ends (FastCGI 1.0
 * section 3.3) and runs no application, so what a request costs here is what
 * the front server, the socket and one wake-up cost.
 *
 * Usage: floor SOCKET SIZE [SOCKET SIZE]...
 * SIZE 0 answers "Hello world!\n" with a Content-Length, any other size so many
 * bytes without one. It ends on SIGTERM.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { HEADER = 8, STDIN_TYPE = 5, STDOUT_TYPE = 6, END_TYPE = 3, MAX_CONTENT = 65528 };

static const char hello[] = "Hello world!\n";

/* One listening socket and its answer; lives as long as the process. */
struct listener {
    int fd;
    unsigned char *reply;
    size_t length;
};

struct connection {
    int fd;
    const struct listener *from;
};

static unsigned char *record(unsigned char *at, int type, size_t length)
{
    const unsigned char head[HEADER] = {
        1, (unsigned char)type, 0, 1, (unsigned char)(length >> 8), (unsigned char)length, 0, 0};
    memcpy(at, head, HEADER);
    return at + HEADER;
}

/* Builds the records of the whole answer. Returns 0, or -1 without memory. */
static int build_reply(struct listener *l, size_t size)
{
    char head[128];
    size_t body = size ? size : sizeof hello - 1;
    int n = size ? snprintf(head, sizeof head, "Status: 200 OK\r\nContent-Type: text/plain\r\n\r\n")
                 : snprintf(head, sizeof head,
                            "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                            body);
    size_t total = (size_t)n + body;
    unsigned char *content = malloc(total);
    unsigned char *reply = malloc(total + HEADER * (total / MAX_CONTENT + 4));
    if (!content || !reply) {
        free(content);
        free(reply);
        return -1;
    }
    memcpy(content, head, (size_t)n);
    if (size)
        memset(content + n, 'x', body);
    else
        memcpy(content + n, hello, body);

    unsigned char *at = reply;
    for (size_t done = 0; done < total;) {
        size_t part = total - done < MAX_CONTENT ? total - done : MAX_CONTENT;
        at = record(at, STDOUT_TYPE, part);
        memcpy(at, content + done, part);
        at += part;
        done += part;
    }
    at = record(at, STDOUT_TYPE, 0);
    at = record(at, END_TYPE, 8);
    memset(at, 0, 8);
    at += 8;
    l->reply = reply;
    l->length = (size_t)(at - reply);
    free(content);
    return 0;
}

/* Sends everything. Returns 0, or -1 when the peer is gone. */
static int send_all(int fd, const unsigned char *data, size_t length)
{
    while (length) {
        ssize_t n = send(fd, data, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        data += n;
        length -= (size_t)n;
    }
    return 0;
}

/* Serves one kept connection until the front server closes it. Owns its argument. */
static void *serve(void *argument)
{
    struct connection c = *(struct connection *)argument;
    free(argument);
    unsigned char *buffer = malloc(65536);
    unsigned char head[HEADER];
    size_t have = 0, skip = 0; /* bytes of head read; content and padding to drop */

    while (buffer) {
        ssize_t n = recv(c.fd, buffer, 65536, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        int failed = 0;
        for (size_t at = 0; at < (size_t)n && !failed;) {
            size_t left = (size_t)n - at;
            if (skip) {
                size_t drop = skip < left ? skip : left;
                skip -= drop;
                at += drop;
                continue;
            }
            size_t take = HEADER - have < left ? HEADER - have : left;
            memcpy(head + have, buffer + at, take);
            have += take;
            at += take;
            if (have < HEADER)
                break;
            have = 0;
            size_t length = (size_t)head[4] << 8 | head[5];
            skip = length + head[6];
            if (head[1] == STDIN_TYPE && length == 0)
                failed = send_all(c.fd, c.from->reply, c.from->length) != 0;
        }
        if (failed)
            break;
    }
    free(buffer);
    close(c.fd);
    return NULL;
}

/* Accepts for ever; one detached thread a connection. */
static void *accept_all(void *argument)
{
    const struct listener *l = argument;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 128 * 1024);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int fd = accept(l->fd, NULL, NULL);
        if (fd < 0)
            continue;
        struct connection *c = malloc(sizeof *c);
        pthread_t thread;
        if (c)
            *c = (struct connection){fd, l};
        if (!c || pthread_create(&thread, &attr, serve, c) != 0) {
            free(c);
            close(fd);
        }
    }
    return NULL;
}

/* Opens the listening socket at path for everybody. Returns it, or -1. */
static int listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return -1;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || chmod(path, 0666) != 0 ||
        listen(fd, 1024) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

int main(int argc, char **argv)
{
    struct listener listeners[8] = {0};
    int count = (argc - 1) / 2;
    if (count < 1 || count > 8 || argc != 1 + 2 * count) {
        fprintf(stderr, "usage: floor SOCKET SIZE [SOCKET SIZE]...\n");
        return 2;
    }
    for (int i = 0; i < count; i++) {
        struct listener *l = &listeners[i];
        l->fd = listen_at(argv[1 + 2 * i]);
        if (l->fd < 0 || build_reply(l, strtoul(argv[2 + 2 * i], NULL, 10)) != 0) {
            perror(argv[1 + 2 * i]);
            return 1;
        }
        pthread_t thread;
        if (i > 0 && pthread_create(&thread, NULL, accept_all, l) != 0) {
            perror("thread");
            return 1;
        }
    }
    accept_all(&listeners[0]);
    return 0;
}
