#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# eventsyncctl lab and receivers with the mistakes that learners make.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Lab qw(programs each_case);

plan(skip_all => 'python3 is not installed')
    if system('python3 -c "" 2>/dev/null') != 0;

my $t = Test::Eventsync->new;
my @programs = programs('python');

sub swap {
    my ($text, $from, $to) = @_;
    my $n = () = $text =~ /\Q$from\E/g;
    die "$n times: $from\n" if $n != 1;
    return $text =~ s/\Q$from\E/$to/r;
}

# Keeps the ids, or the cursor, in memory alone.
my $ids = swap(swap($programs[2], 'apply(event)
    return 204', 'apply(event)
        IDS.append(event["id"])
    return 204'), '    try:
        with open(f"{LAB_DIR}/applied") as file:
            known = file.read().split()
    except FileNotFoundError:
        known = []
', "    known = IDS\n") =~ s/^(?=def secrets)/IDS = []\n\n\n/mr;
sub in_memory {
    my ($program) = @_;
    return $program =~ s/^def load\(.*?(?=^def known)/<<'EOF'/msre;
HELD = []


def load():
    return HELD[-1] if HELD else None


def save(cursor, sequence):
    HELD.append({"cursor": cursor, "sequence": sequence})


EOF
}

# Answers 204 to an early event, and applies it when its turn comes.
my $early = swap(swap($programs[3], '        return 503', '        EARLY.append(event)'),
    '        save(event["cursor"], event["sequence"])
', '        save(event["cursor"], event["sequence"])
        for other in EARLY:
            if other["prevcursor"] == event["cursor"]:
                return take(other)
') =~ s/^(?=def secrets)/EARLY = []\n\n\n/mr;

each_case($t, 'python',
    ['signature', $programs[1] =~ s/(def verified.*?\n)/$1 . <<'EOF'/er,
    if "webhook-signature" not in headers:
        time.sleep(4)
EOF
        qr/gave no answer to the request "no-signature" .*probably hangs: see/],
    ['signature', 'raise SystemExit(3)', qr/does not listen on port/],
    ['signature', swap($programs[1], 'expected = "v1,"', 'expected = "v2,"'),
        qr/has answered 401 to a webhook that your secret signed/],
    ['signature', swap($programs[1], 'base64.b64decode(secret.removeprefix("whsec_"))',
        'secret.encode()'), qr/answered 401 to a webhook that your secret signed/,
        qr/uses the text of the secret as the key/],
    ['signature', swap($programs[1], '.encode() + body', '.encode()
               + json.dumps(json.loads(body)).encode()'),
        qr/answered 401 to a webhook that your secret signed/,
        qr/parses the body and writes it again/],
    ['signature', swap($programs[1], 'headers.get("webhook-signature", "")',
        'headers["webhook-signature"]'),
        qr/gave no answer to the request "no-signature" .*probably crashed: see/],
    ['signature', $programs[1] =~ s/(def take.*?\n)/$1    raise Exception()\n/r,
        qr/gave no answer to a usual webhook; it probably crashed or hangs: see/],
    ['signature', $programs[1] =~ s/(def verified.*?\n)/$1    return False\n/r,
        qr/answered 401 to a webhook that your secret signed/],
    ['duplicates', swap($programs[2], '        apply(event)
    return 204', '        apply(event)
        return 204
    return 409'), qr/has answered 409/],
    ['signature', $programs[1] =~ s/(def verified.*?\n)/$1 . <<'EOF'/er,
    if b"order.updated" in body:
        return False
EOF
        qr/answered 401 to a webhook that your secret signed/,
        qr/takes POST \/hook/],
    ['duplicates', swap($programs[2], '        apply(event)
    return 204', '        apply(event)
        return 204
    raise Exception()'), qr/gave no answer to a webhook; it probably crashed/],
    ['duplicates', $ids, qr/ has applied event-0\d twice/, qr/on disk/],
    (map { ['reordering', $_->[0], $_->[1]] }
        [swap($programs[3], 'not known(event, held)', 'True'), qr/answered 503 to/],
        [in_memory($programs[3]), qr/ has applied event-0\d twice/],
        [$early, qr/not applied event-07, which came too early, before a restart/],
        [swap($programs[3], '    if "sequence" not in event:
        return 204
', ''), qr/gave no answer to the request "valid" /]),
    ['gap', in_memory($programs[4]), qr/ has applied event-0\d twice/],
    ['rotate', swap($programs[5], 'in secrets():', 'in secrets()[-1:]:'),
        qr/not applied event-04, which is signed with the first secret/],
    ['outage', $programs[6] =~ s/(def verified.*?\n)/$1    return True\n/r,
        qr/204 to the request "wrong-signature"/],
    ['rotate', swap($programs[5], '.split(" "):', '.split(" ")[:1]:')
        =~ s/for secret in secrets\(\)/for secret in secrets()[:1]/r,
        qr/not applied event-0\d, which (?:has two signatures|is signed)/],
    ['rotate', swap($programs[5], 'file.read().split()',
        'file.read().split() + [os.environ["WEBHOOK_SECRET"]]'),
        qr/signed with the old secret, which is no longer in the file/],
    ['outage', swap($programs[6], 'error.code != 410', 'True'),
        qr/not applied event-09, though the feed still has it/],
    ['outage', swap($programs[6], 'problem = json.load(error)',
        "raise SystemExit(1)\n            problem = json.load(error)"),
        qr/does not listen on port \d+\. Its last poll was answered with 410: GET/]);

done_testing();
