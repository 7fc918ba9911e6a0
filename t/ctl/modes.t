#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Files that the programs make have modes of their own, whatever the umask is.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $before = umask;

# The files below a directory that have another mode.
sub others {
    my ($dir, $mode_of_dirs, $mode_of_files) = @_;
    return map { sprintf '%s %04o', $_, (lstat)[2] & 07777 } grep {
        my $mode = (lstat)[2] & 07777;
        $mode != (-d _ ? $mode_of_dirs : $mode_of_files)
    } split /\n/, `find '$dir'`;
}

for my $mask (0, 027, 077) {
    my $name = sprintf 'umask %04o', $mask;
    umask $mask;
    my $t = webhook_store();
    my $dir = $t->testdir;
    my %file = (state => $t->port(1), log => $t->port(2));
    my @listen;
    for my $what (sort keys %file) {
        my (undef, $secret) = $t->endpoint('acme', feeds => 'orders',
            url => "http://127.0.0.1:$file{$what}/");
        push @listen, $t->ctl_start('listen', "--port=$file{$what}",
            "--secret=$secret", "--$what=$dir/$what");
        ok(wait_for(sub { Test::Eventsync::port_open($file{$what}) }),
            "$name: a receiver with --$what");
    }
    $t->run_dispatcher("--pid-file=$dir/pid");
    put($t, 'orders', 1);
    for my $what (sort keys %file) {
        ok(wait_for(sub { -s "$dir/$what" }), "$name: it writes its $what");
    }
    is(sprintf('%04o', (stat "$dir/$_->[0]")[2] & 07777), $_->[1],
        "$name: the mode of its $_->[0]")
        for ['state', '0600'], ['log', '0600'], ['pid', '0644'];
    is_deeply([others($t->store, 0770, 0660)], [], "$name: the store");
    $t->ctl_ok('backup', "$dir/backup");
    is_deeply([others("$dir/backup", 0700, 0600)], [], "$name: a backup");
    $_->stop('TERM') for @listen;
    $t->stop_dispatcher;
    $t->finish;
    umask $before;
}

done_testing();
