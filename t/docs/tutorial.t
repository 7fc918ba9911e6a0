#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# docs/tutorial.md: its commands in one shell, in their order, with the addresses
# and paths of the test.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $page = do { local (@ARGV, $/) = 'docs/tutorial.md'; <> };
my ($conf) = $page =~ /^```nginx\n(.*?)^```$/ms;
my @blocks = $page =~ /^```sh\n(.*?)^```$/msg;

my $t = Test::Eventsync->new;
my $keys = $t->testdir . '/secret-keys';
system("umask 077; openssl rand -base64 32 > $keys") == 0 or die;
$ENV{EVENTSYNC_KEY_FILE} = $keys;
$t->store_init(sealed => 1);

# What docs/install.md leaves, and the groups that it gives to nginx.
my $install = do { local (@ARGV, $/) = 'docs/install.md'; <> };
my ($first) = $install =~ /^## The first partner\n.*?^```sh\n(.*?)^```$/ms;
for (grep { /^eventsyncctl / } split /\n/, $first) {
    (undef, my @args) = split;
    $t->ctl_ok(@args);
}
my @left = map { $t->ctl_ok($_, 'list') } qw(feed partner key);
my %member = map { $_ => 1 } $install =~ /^adduser www-data (eventsync-\w+)$/mg,
    $page =~ /`adduser\s+www-data\s+(eventsync-\w+)`/g;
my $operations = do { local (@ARGV, $/) = 'docs/operations.md'; <> };
for my $row ($operations =~ /^\| … with (.*) \|$/mg) {
    my @on = grep { index($conf, "$_ on;") >= 0 } $row =~ /`(eventsync_\w+)`/g;
    ok($member{$_}, "nginx gets the group $_ for @on")
        for @on ? $row =~ /`(eventsync-\w+)`/g : ();
}
# The configuration of the page alone.
$t->write_file_expand('nginx.conf', <<"CONF");
events { }
http {
    eventsync_store %%STORE%%;
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /v1/ {
            $conf
        }
    }
}
CONF
$t->run_nginx;
$t->run_dispatcher("--key-file=$keys");

my $port = Test::Eventsync::free_port();
my %named = ('/var/lib/eventsync' => $t->store, 'localhost:8080' =>
    '127.0.0.1:' . $t->port(0), '/etc/eventsync/secret-keys' => $keys,
    '127.0.0.1:9000' => "127.0.0.1:$port", '--port=9000' => "--port=$port");
my $names = join '|', map { quotemeta } keys %named;

mkdir $t->testdir . '/work';
my $script = join '', map { "printf '\\n=== $_\\n'\n" . $blocks[$_] } 0 .. $#blocks;
$script =~ s/($names)/$named{$1}/g;
my $proc = $t->start('tutorial', { env => { PATH => $t->build . ":$ENV{PATH}" } },
    'sh', '-ec', "cd '" . $t->testdir . "/work'\n$script");
is($proc->wait(90), 0, 'all commands succeed') or diag($proc->stdout,
    $proc->stderr);
my %out = $proc->stdout =~ /^=== (\d+)\n(.*?)(?=^=== |\z)/msg;
my ($begin, $feed, $type, $producer, $publish, $again, $wrong, $poll, $wait,
    $stream, $hook, $outage, $heal, $see, $clean) = map { $out{$_} // '' }
    0 .. $#blocks;
is(scalar @blocks, 15, 'the blocks are as this test knows them');

is(scalar(() = $publish =~ /"duplicate":false/g), 3, 'three are published');
is(scalar(() = $again =~ /"duplicate":true/g), 3, 'and known the second time');
like($wrong, qr/"status":422.*price/s, 'a wrong price is refused');
is(scalar(() = $poll =~ /"specversion"/g), 3, 'a poll has them');
like($wait, qr/"id":"p5".*"id":"p5"/s, 'a held poll has the next one');
like($stream, qr/^data: .*"id":"p5"/m, 'so has a stream');
is(join(' ', sort $stream =~ /^\{"events":.*"id":"(p\d)".*"id":"(p\d)"/m),
    'p2 p5', 'a snapshot has the latest of each subject');
like($hook, qr/^webhook +prices .*-5 /m, 'a webhook comes');
is(scalar(() = $hook =~ /polled +prices/g), 4, 'after the events before')
    or diag($hook);
is(scalar(() = $outage =~ /ep_\w+ feed=prices .*class=connect$/mg), 3,
    'three dead letters')
    or diag($outage);
is(scalar(() = $heal =~ /polled +prices/g), 3, 'which a poll brings')
    or diag($heal);
like($see, qr/"endpoints":/, 'the status');

is($t->ctl_ok($_, 'list'), shift @left // '', "no $_ of the page is left")
    for qw(feed partner key endpoint);

done_testing();
