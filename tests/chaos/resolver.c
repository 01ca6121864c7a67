/* Preloaded into the daemon: one host's name is looked up as slowly, or as badly, as a file says.
 *
 *   CHAOS_DNS=/path/of/file   "delay_ms eai_error": read at each look-up; the host is voice-agent.test
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST "voice-agent.test"

typedef int look_up(const char *, const char *, const struct addrinfo *, struct addrinfo **);

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    look_up *real = (look_up *)dlsym(RTLD_NEXT, "getaddrinfo");
    int delay_ms = 0, error = 0;
    if (!node || strcmp(node, HOST) != 0)
        return real(node, service, hints, found);
    const char *path = getenv("CHAOS_DNS");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (file) {
        if (fscanf(file, "%d %d", &delay_ms, &error) < 1)
            delay_ms = 0;
        fclose(file);
    }
    usleep(delay_ms * 1000);
    return error ? error : real("127.0.0.1", service, hints, found);
}
