#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A feed of operational events is one partner's alone, and nobody publishes to
# it but the dispatcher.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

my $t = Test::Eventsync->new;
$t->store_init;
$t->feed($_) for qw(ops ops-b orders);

sub refused {
    my ($what, $error, @args) = @_;
    my ($rc, undef, $err) = $t->ctl('partner', @args);
    is($rc, 1, "$what: refused");
    like($err, qr/\A[^\n]*$error[^\n]*\n\z/, '... in one line');
}

$t->ctl_ok('partner', 'create', 'acme', '--operations=ops');
$t->ctl_ok('partner', 'create', 'bolt', '--publish=orders');
refused('the feed of another', qr{/operations: .*"ops".*"acme"},
    'create', 'cord', '--operations=ops');
refused('... by a change', qr{/operations: .*"ops".*"acme"},
    'change', 'bolt', '--operations=ops');
refused('a feed that another publishes to', qr{/operations: .*"bolt"},
    'change', 'acme', '--operations=orders');
refused('one that the partner itself publishes to', qr{/operations: .*"bolt"},
    'change', 'bolt', '--operations=orders');
refused("to publish there: $_", qr{/publish: .*"ops"},
    'change', 'bolt', "--publish=orders,$_") for qw(ops op* *);
refused('... from the beginning', qr{/publish: .*"ops"},
    'create', 'cord', '--publish=*');
refused('... by the partner itself', qr{/operations: .*"acme"},
    'change', 'acme', '--publish=ops');

$t->ctl_ok('partner', 'change', 'bolt', '--publish=orders,ops-b');
refused('what it may publish to by now', qr{/operations: .*"bolt"},
    'change', 'bolt', '--operations=ops-b');
$t->ctl_ok('partner', 'change', 'bolt', '--publish=orders',
    '--operations=ops-b');
$t->ctl_ok('partner', 'change', 'acme', '--operations=ops', '--feeds=*');
$t->ctl_ok('partner', 'change', 'acme', '--operations=');
$t->ctl_ok('partner', 'change', 'bolt', '--operations=ops');
ok($t->verify, 'the store is sound');

done_testing();
