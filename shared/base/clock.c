/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The clocks of the system, and RFC 3339 dates.
 *
 * A commit prints a time for each event that has none, so dates are printed
 * and parsed here without the C library's time zones and locales.
 */

#include "base/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define ES_DAY_S  INT64_C(86400)

int64_t
es_clock_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_REALTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


es_rc_t
es_clock_synchronized(bool *synchronized)
{
    int           state;
    struct timex  t = { 0 };

    state = adjtimex(&t);
    if (state == -1) {
        return ES_NOT_FOUND;
    }

    *synchronized = state != TIME_ERROR && !(t.status & STA_UNSYNC);

    return ES_OK;
}


int64_t
es_clock_mono_us(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}


int64_t
es_clock_boot_ms(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_BOOTTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


/* Fills `text` with the beginning of the file and a NUL.  The text is empty
   if the file cannot be read. */
static void
es_machine_file(const char *path, char *text, size_t size)
{
    int      fd;
    ssize_t  n;

    n = 0;
    fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd != -1) {
        n = read(fd, text, size - 1);
        (void) close(fd);
    }

    text[n > 0 ? n : 0] = '\0';
}


void
es_machine_read(es_machine_t *machine)
{
    char        text[256];
    long        s, ns;
    const char *line;

    es_machine_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
    machine->boot = text[0] != '\0' ? XXH3_64bits(text, strlen(text)) : 0;
    machine->offset_ms = 0;

    /* A kernel without time namespaces has no such file, and no offsets. */

    es_machine_file("/proc/self/timens_offsets", text, sizeof(text));
    line = strstr(text, "boottime");

    if (line != NULL && sscanf(line, "boottime %ld %ld", &s, &ns) == 2) {
        machine->offset_ms = (int64_t) s * 1000 + ns / 1000000;
    }
}


int64_t
es_machine_ms(const es_machine_t *machine)
{
    struct timespec  ts;

    /* A tool that fakes one process's clocks replaces the C library's
       function. */

    (void) syscall(SYS_clock_gettime, CLOCK_BOOTTIME, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000
           - machine->offset_ms;
}


/*
 * Returns the days since 1970-01-01 of a proleptic Gregorian date.  Years
 * begin in March, so that the leap day comes last.
 */
static int64_t
es_days(int64_t year, unsigned month, unsigned day)
{
    int64_t   era;
    unsigned  yoe, doy, doe;

    if (month <= 2) {
        year--;
    }

    era = (year >= 0 ? year : year - 399) / 400;
    yoe = (unsigned) (year - era * 400);
    doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + (int64_t) doe - 719468;
}


/* The inverse of es_days(). */
static void
es_date(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t   era;
    unsigned  doe, yoe, doy, mp;

    days += 719468;

    era = (days >= 0 ? days : days - 146096) / 146097;
    doe = (unsigned) (days - era * 146097);
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;

    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int64_t) yoe + era * 400 + (*month <= 2);
}


static char *
es_digits_print(char *p, unsigned n, unsigned width)
{
    unsigned  i;

    for (i = width; i > 0; i--) {
        p[i - 1] = (char) ('0' + n % 10);
        n /= 10;
    }

    return p + width;
}


void
es_time_print(int64_t ms, char *out)
{
    char      *p;
    int64_t    days, rest, year;
    unsigned   month, day, s;

    days = ms / (ES_DAY_S * 1000);
    rest = ms % (ES_DAY_S * 1000);

    if (rest < 0) {
        rest += ES_DAY_S * 1000;
        days--;
    }

    es_date(days, &year, &month, &day);
    s = (unsigned) (rest / 1000);

    p = es_digits_print(out, (unsigned) year, 4);
    *p++ = '-';
    p = es_digits_print(p, month, 2);
    *p++ = '-';
    p = es_digits_print(p, day, 2);
    *p++ = 'T';
    p = es_digits_print(p, s / 3600, 2);
    *p++ = ':';
    p = es_digits_print(p, s / 60 % 60, 2);
    *p++ = ':';
    p = es_digits_print(p, s % 60, 2);
    *p++ = '.';
    p = es_digits_print(p, (unsigned) (rest % 1000), 3);
    *p = 'Z';
}


/* Reads `width` digits at `*p` and moves `*p`.  False: there are fewer. */
static bool
es_digits_parse(const char **p, const char *end, unsigned width, unsigned *n)
{
    unsigned  i;

    if ((size_t) (end - *p) < width) {
        return false;
    }

    *n = 0;

    for (i = 0; i < width; i++) {
        if ((*p)[i] < '0' || (*p)[i] > '9') {
            return false;
        }
        *n = *n * 10 + (unsigned) ((*p)[i] - '0');
    }

    *p += width;

    return true;
}


static bool
es_char_parse(const char **p, const char *end, char c)
{
    if (*p == end || **p != c) {
        return false;
    }

    (*p)++;

    return true;
}


static bool
es_date_parse(const char **p, const char *end, int64_t *days)
{
    unsigned  year, month, day, max;

    static const unsigned char  month_days[12] =
        { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

    if (!es_digits_parse(p, end, 4, &year)
        || !es_char_parse(p, end, '-')
        || !es_digits_parse(p, end, 2, &month)
        || !es_char_parse(p, end, '-')
        || !es_digits_parse(p, end, 2, &day)
        || month < 1 || month > 12 || day < 1)
    {
        return false;
    }

    max = month_days[month - 1];

    if (month == 2
        && year % 4 == 0 && (year % 100 != 0 || year % 400 == 0))
    {
        max = 29;
    }

    if (day > max) {
        return false;
    }

    *days = es_days((int64_t) year, month, day);

    return true;
}


/* The fraction of a second after a '.', cut to milliseconds. */
static bool
es_fraction_parse(const char **p, const char *end, unsigned *ms)
{
    unsigned  weight;

    weight = 100;
    *ms = 0;

    if (*p == end || **p < '0' || **p > '9') {
        return false;
    }

    while (*p < end && **p >= '0' && **p <= '9') {
        *ms += (unsigned) (**p - '0') * weight;
        weight /= 10;
        (*p)++;
    }

    return true;
}


static bool
es_clock_parse(const char **p, const char *end, int64_t *ms)
{
    unsigned  h, m, s, fraction;

    fraction = 0;

    if (!es_digits_parse(p, end, 2, &h)
        || !es_char_parse(p, end, ':')
        || !es_digits_parse(p, end, 2, &m)
        || !es_char_parse(p, end, ':')
        || !es_digits_parse(p, end, 2, &s)
        || h > 23 || m > 59 || s > 60)
    {
        return false;
    }

    if (es_char_parse(p, end, '.') && !es_fraction_parse(p, end, &fraction)) {
        return false;
    }

    if (s == 60) {
        s = 59;
        fraction = 999;
    }

    *ms = (int64_t) (h * 3600 + m * 60 + s) * 1000 + fraction;

    return true;
}


static bool
es_offset_parse(const char **p, const char *end, int64_t *ms)
{
    int       sign;
    unsigned  h, m;

    if (es_char_parse(p, end, 'Z') || es_char_parse(p, end, 'z')) {
        *ms = 0;
        return true;
    }

    if (es_char_parse(p, end, '+')) {
        sign = 1;

    } else if (es_char_parse(p, end, '-')) {
        sign = -1;

    } else {
        return false;
    }

    if (!es_digits_parse(p, end, 2, &h)
        || !es_char_parse(p, end, ':')
        || !es_digits_parse(p, end, 2, &m)
        || h > 23 || m > 59)
    {
        return false;
    }

    *ms = sign * (int64_t) (h * 60 + m) * 60000;

    return true;
}


es_rc_t
es_time_parse(es_str_t text, int64_t *ms)
{
    int64_t      days, clock, offset;
    const char  *p, *end;

    if (text.len == 0) {
        return ES_INVALID;
    }

    p = text.data;
    end = p + text.len;

    if (!es_date_parse(&p, end, &days)
        || !(es_char_parse(&p, end, 'T') || es_char_parse(&p, end, 't'))
        || !es_clock_parse(&p, end, &clock)
        || !es_offset_parse(&p, end, &offset)
        || p != end)
    {
        return ES_INVALID;
    }

    *ms = days * ES_DAY_S * 1000 + clock - offset;

    return ES_OK;
}
