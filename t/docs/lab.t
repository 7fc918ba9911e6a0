#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/lab.md with a learner who writes Python: first the program that is wrong
# in the step, then the one of the page.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Lab qw($PAGE each_step);

plan(skip_all => 'python3 is not installed')
    if system('python3 -c "" 2>/dev/null') != 0;

my @shown = map { decode_json($_) } $PAGE =~ /^```json\n(.*?)^```/msg;
is(scalar @shown, 3, 'an event, a page and an answer 410');
is_deeply($shown[1]{events}, [$shown[0]], 'with the same event');
is($shown[0]{sequence}, sprintf('%020d', 2), 'whose sequence is text');

each_step(Test::Eventsync->new, 'python');

done_testing();
