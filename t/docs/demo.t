#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The README's first command, as far as its script.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
my $demo = $t->start('demo', { env => { DEMO_ONCE => 1 } }, $^X, '-It/lib',
    "$Test::Eventsync::ROOT/t/demo.pl");

is($demo->wait(120), 0, 'the demo comes to its end') or diag($demo->stderr);
like($demo->stdout, qr/^   \(umask 077; openssl rand -base64 32 > \S+\)$/m,
    'it made a key file in one line');
like($demo->stdout, qr/^   201  evt-8 /m, 'it published');
like($demo->stdout, qr/^   \S+-4  order\.paid  order\/4$/m,
    'it showed a long-poll being woken');
like($demo->stdout, qr/heal/, 'it showed an outage being healed');
is($demo->stderr, '', 'it had nothing to complain about');

done_testing();
