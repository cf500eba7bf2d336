#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static enum err_kind failed(struct err *err, const char *path)
{
    return err_set(err, ERR_STOP, "%s: %s", path, strerror(errno));
}

/* Bytes read until the end or until size; -1 on an error. */
static ssize_t read_fully(int file, char *data, size_t size)
{
    size_t done = 0;

    while (done < size) {
        ssize_t got = read(file, data + done, size - done);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        if (got > 0)
            done += (size_t)got;
    }
    return (ssize_t)done;
}

enum err_kind file_read(struct view *out, const char *path, size_t max_bytes, struct arena *arena,
                        struct err *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    enum err_kind kind = ERR_OK;
    struct stat about;
    char *data;
    ssize_t got;

    if (file < 0)
        return failed(err, path);
    if (fstat(file, &about) != 0) {
        kind = failed(err, path);
    } else if (!S_ISREG(about.st_mode)) {
        kind = err_set(err, ERR_STOP, "%s: not a regular file", path);
    } else if ((uintmax_t)about.st_size > max_bytes) {
        kind = err_set(err, ERR_STOP, "%s: %jd bytes, want at most %zu", path,
                       (intmax_t)about.st_size, max_bytes);
    } else {
        data = arena_alloc(arena, (size_t)about.st_size + 1);
        got = read_fully(file, data, (size_t)about.st_size);
        if (got < 0)
            kind = failed(err, path);
        else
            *out = view_of(data, (size_t)got);
    }
    close(file);
    return kind;
}

static bool write_fully(int file, struct view content)
{
    while (content.size > 0) {
        ssize_t put = write(file, content.data, content.size);

        if (put < 0 && errno != EINTR)
            return false;
        if (put > 0)
            content = view_of(content.data + put, content.size - (size_t)put);
    }
    return true;
}

enum err_kind file_write(const char *path, struct view content, struct err *err)
{
    AUTO(buf_clear) struct buf temporary = {0};
    const char *name;
    bool good;
    int file;

    buf_printf(&temporary, "%s.%ld", path, (long)getpid());
    name = buf_cstr(&temporary);
    file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0)
        return failed(err, name);
    good = write_fully(file, content) && fsync(file) == 0;
    if (close(file) == 0 && good && rename(name, path) == 0)
        return ERR_OK;
    failed(err, path);
    unlink(name);
    return ERR_STOP;
}

enum err_kind file_create(const char *path, mode_t mode, struct view content, struct err *err)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    bool good;

    if (file < 0)
        return failed(err, path);
    good = write_fully(file, content) && fsync(file) == 0;
    if (close(file) == 0 && good)
        return ERR_OK;
    failed(err, path);
    unlink(path);
    return ERR_STOP;
}
