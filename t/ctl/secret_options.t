#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Options of eventsyncctl whose value is a secret: a file, standard input or an
# environment variable, and never the secret itself.

use warnings;
use strict;

use MIME::Base64 qw(encode_base64);
use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);
use Test::Eventsync::Webhooks;

my $t = webhook_store();
my $file = $t->secret_file(encode_base64('k' x 32));
my ($name, $secret) = $t->endpoint('acme', url => 'https://a.example/',
    feeds => 'orders', key_file => $file);
my ($rc, $err);

sub shown { Test::Eventsync::json($t->ctl_ok('endpoint', 'show', $_[0])) }

my $told = qr/must be \@FILE, - for standard input or env:NAME/;
for my $args (
    ['endpoint', 'change', $name, '--secret=hush'],
    ['endpoint', 'change', $name, '--secret', 'hush'],
    ['endpoint', 'change', $name, '--headers={"x-a":"hush"}'],
    ['endpoint', 'change', $name, '--oauth={"client_secret":"hush"}'],
    ['endpoint', 'create', 'acme', '--url=https://a.example/',
        '--feeds=orders', '--secret=hush'],
    ['endpoint', 'rotate', $name, '--secret=hush'],
    ['listen', '--port=1', '--secret=hush'],
    ['listen', '--port=1', '--key=hush', '--poll=https://a.example/'],
    ['verify-integration', '--url=https://a.example/', '--secret=hush'],
    ['publish', 'orders', '--url=https://a.example/', '--key=hush'],
    ['tail', 'orders', '--url=https://a.example/', '--key=hush'])
{
    ($rc, my $out, $err) = $t->ctl({ plain => 1 }, @$args);
    is($rc, 2, "@$args is refused");
    like($err, qr/\Aeventsyncctl: "--\w+" $told[^\n]*\n\z/, 'in one line');
    unlike("$out$err", qr/hush/, 'that has not the secret');
}
for my $args (['--secrets=hush', 'listen'], ['listen', '--secrets=hush']) {
    ($rc, undef, $err) = $t->ctl({ plain => 1 }, @$args);
    is($rc, 2, 'so is a misspelt option');
    unlike($err, qr/hush/, 'whose value may be a secret');
}

sub changed {
    my ($opts, $option) = @_;
    return $t->ctl({ plain => 1, %$opts }, 'endpoint', 'change', $name,
        $option, '--key-file', $file);
}
sub accepted {
    my ($what, $opts, $option) = @_;
    my $before = shown($name)->{revision};
    my ($code, undef, $said) = changed($opts, $option);
    is($code, 0, $what) or diag($said);
    is(shown($name)->{revision}, $before + 1, '... is taken');
}
my $headers = qq({\n  "x-a": "1"\n});
accepted('a file', {}, '--headers=@' . $t->secret_file($headers));
accepted('a file with the end of a line', {},
    '--secret=@' . $t->secret_file("$secret\n"));
accepted('with that of another system', {},
    '--secret=@' . $t->secret_file("$secret\r\n"));
accepted('standard input', { stdin => "$secret\n" }, '--secret=-');
accepted('the environment', { env => { MINE => $secret } },
    '--secret=env:MINE');
accepted('nothing: no headers', {}, '--headers=');
ok(!exists shown($name)->{headers}, '... any more');

my $open = $t->secret_file($secret);
chmod 0644, $open;
for (['mode 0600 or 0640, not 0644', '@' . $open],
    ['cannot open "/nonexistent": No such', '@/nonexistent'],
    ['must be a file', '@' . $t->testdir],
    ['is empty', '@' . $t->secret_file("\n")],
    ['NUL', '@' . $t->secret_file("a\0b")],
    ['more than 65536 bytes', '@' . $t->secret_file('x' x 65537)],
    ['standard input is empty', '-'],
    ['"NO_SUCH" is not set', 'env:NO_SUCH'])
{
    my ($says, $value) = @$_;
    my $before = shown($name)->{revision};
    ($rc, undef, $err) = changed({ stdin => '' }, "--secret=$value");
    is($rc, 1, "$value cannot be read");
    like($err, qr/\Aeventsyncctl: "--secret": .*\Q$says\E[^\n]*\n\z/,
        '... why');
    is(shown($name)->{revision}, $before, '... and nothing changed');
}
($rc, undef, $err) = $t->ctl({ plain => 1, stdin => $secret }, 'endpoint',
    'change', $name, '--secret=-', '--headers=-');
is($rc, 2, 'standard input gives one secret');
like($err, qr/standard input has another secret already/, '... why');
($rc, undef, $err) = $t->ctl({ plain => 1, stdin => $secret }, 'publish',
    'orders', '--url=https://a.example/', '--key=-');
is($rc, 2, 'and none to publish');
like($err, qr/standard input has the events already/, '... why');


###############################################################################
# core dumps

sub core_dump { my ($pid) = @_; $t->read_file("/proc/$pid/limits")
    =~ /^Max core file size\s+\S+\s+(\S+)/m ? $1 : undef }

  SKIP: {
    skip 'core dumps are off on this machine', 3 if core_dump($$) eq '0';
    my $port = Test::Eventsync::free_port();
    my @listen = ('listen', "--port=$port", "--secret=$secret");
    for (['0', {}], [core_dump($$), { env => { EVENTSYNC_CORE_DUMPS => 1 } }]) {
        my ($size, $opts) = @$_;
        my $proc = $t->ctl_start($opts, @listen);
        wait_for(sub { Test::Eventsync::port_open($port) });
        is(core_dump($proc->pid), $size, "with a secret, dumps of size $size");
        $proc->stop('TERM');
    }
    my $proc = $t->run_dispatcher("--key-file=$file");
    wait_for(sub { $proc->stderr =~ /info: eventsync-dispatcher/ });
    is(core_dump($proc->pid), '0', 'a dispatcher leaves none');
    $t->stop_dispatcher;
}

$t->finish;
done_testing();

###############################################################################

sub write_keys {
    my ($path, $text) = @_;
    open my $fh, '>', $path or die "$path: $!\n";
    print $fh $text;
    close $fh or die;
}

sub ed25519_secret {
    my $pem = qx(openssl genpkey -algorithm ed25519 -outform DER);
    my $seed = substr $pem, -32;
    open my $fh, '>:raw', $t->testdir . '/ed.der' or die;
    print $fh $pem;
    close $fh or die;
    my $file = $t->testdir . '/ed.der';
    my $pub = qx(openssl pkey -inform DER -in $file -pubout -outform DER);
    return 'whsk_' . encode_base64($seed . substr($pub, -32), '');
}
