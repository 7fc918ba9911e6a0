#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/lab.md and eventsyncctl lab with a learner who writes Python: first the
# program that is wrong in the step, then the one of the page.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Lab qw(programs each_step);

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

each_step($t, 'python',
    ['signature', 'raise SystemExit(3)', qr/does not listen on port/],
    ['signature', swap($programs[1], 'expected = "v1,"', 'expected = "v2,"'),
        qr/not applied event-01, a usual webhook/],
    ['duplicates', swap($programs[2], '        apply(event)
    return 204', '        apply(event)
        return 204
    return 409'), qr/has answered 409/],
    ['rotate', swap($programs[5], '.split(" "):', '.split(" ")[:1]:')
        =~ s/for secret in secrets\(\)/for secret in secrets()[:1]/r,
        qr/not applied event-0\d, which (?:has two signatures|is signed)/],
    ['rotate', swap($programs[5], 'file.read().split()',
        'file.read().split() + [os.environ["WEBHOOK_SECRET"]]'),
        qr/signed with the old secret, which is no longer in the file/],
    ['outage', swap($programs[6], 'error.code != 410', 'True'),
        qr/not applied event-09, though the feed still has it/]);

done_testing();
