#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The progress of long commands: a line on a terminal, with the rate and the
# time that is left; and nothing of it elsewhere, with --quiet, or in a result.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync;

plan skip_all => 'script(1) is not installed'
    if system('command -v script >/dev/null') != 0;

my $t = Test::Eventsync->new;
$t->store_init->feed('orders');

my $input = $t->write_file('events',
    join '', map { $t->event(id => "$_") . "\n" } 1 .. 12);

# Answers each request late, so that the line is drawn while it runs.
my $server = $t->receiver(sub {
    my ($r) = @_;
    return { status => 201, delay => 0.06, body => '{"results":[{"id":"'
        . $r->{n} . '","cursor":"abcdefgh-' . $r->{n} . '","duplicate":false}]}' };
});
my @slow = ('publish', 'orders', '--batch=1',
    '--url=http://127.0.0.1:' . $server->port . '/v1');

# Runs a command on a terminal of so many columns, with the input; returns what
# the terminal got.
sub terminal {
    my ($columns, @args) = @_;
    my $command = join ' ', map { s/'/'\\''/gr =~ s/(.*)/'$1'/sr }
        $t->build . '/eventsyncctl', '--store', $t->store, @args;
    my $out = $t->testdir . '/terminal';
    is(system('sh', '-c', 'exec script -qefc "$1" "$2" > "$2.copy"', 'sh',
        "stty cols $columns; $command < $input", $out), 0,
        "$args[0]: succeeds on a terminal");
    my $text = $t->read_file($out);
    $text =~ s/\AScript started[^\n]*\n//;
    $text =~ s/\n?Script done[^\n]*\n\z//;
    return $text;
}

# What is left on the screen: each line is overwritten from its start.
sub screen {
    my ($text) = @_;
    return join "\n", map {
        my $line = '';
        substr($line, 0, length) = $_ for split /\r/;
        $line =~ s/ +\z//r
    } split /\r?\n/, $text;
}

my $said = terminal(100, @slow);
like($said, qr/publish: \[\.{20}\]   0 %/, 'a bar begins empty');
like($said, qr/publish: \[#+\.*\] +[1-9]\d* %, [\d.]+ k?B, [\d.]+ k?B\/s, \d+:\d\d:\d\d left/,
    'it has the share, the rate and the time left');
is(screen($said), '', 'and nothing of it stays');
unlike($said, qr/\e/, 'it needs no escape sequence');

my @wide = grep { length > 39 } split /[\r\n]+/, terminal(40, @slow);
is_deeply(\@wide, [], 'it is no wider than the terminal');

unlike(terminal(100, @slow, '--quiet'), qr/\S/, 'there is none with --quiet');

$said = terminal(100, @slow, '--results');
is(scalar(() = screen($said) =~ /^abcdefgh-\d+ \d+$/mg), 12,
    'results stand on lines of their own');

my ($rc, $out, $err) = $t->ctl({ stdin => $t->read_file($input) }, @slow);
is("$rc$out$err", '0', 'there is none without a terminal');

like(terminal(100, 'publish', 'orders'), qr/publish: \[/, 'publish to the store');
$said = terminal(100, 'verify');
like($said, qr/verify: \[\.{20}\]   0 %, 0 events/, 'verify has one');
like(screen($said), qr/\A1 feed, 12 events in \d+ records?, 0 checkpoints, 0 faults\z/,
    'and its result stands alone');
$said = terminal(100, 'backup', $t->testdir . '/backup');
like($said, qr/copy: \[/, 'backup has one');
like(screen($said), qr/\Abackup of 1 feed, 12 events, [^\n]*\z/,
    'and its result stands alone');

$said = terminal(100, 'export', 'orders');
unlike($said, qr/export: /, 'export has none on the terminal of its output');
my $export = $t->write_file('export', $t->ctl_ok('export', 'orders'));
$t->feed('copy');
$said = terminal(100, 'import', 'copy', $export);
like($said, qr/check: \[.*import: \[/s, 'import has one for each pass');
like(screen($said), qr/\Aimported 12 events; 0 were there already\z/,
    'and its result stands alone');

# A message takes the line away.
$said = terminal(100, 'verify', '--json');
like(screen($said), qr/\A\{"feeds":2,[^\n]*\}\z/, 'so does a document');

{
    local $ENV{NO_COLOR} = 1;
    unlike(terminal(100, 'verify'), qr/\e/, 'no colours');
}

done_testing();
