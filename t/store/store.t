#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# A store that is foreign, damaged or of another version is refused with a
# clear message and left as it is; damage to events is found, never served.

use warnings;
use strict;

use Test::More;

use lib 't/lib';
use Test::Eventsync qw(wait_for);

my $t = Test::Eventsync->new(workers => 1);
$t->store_init->feed('orders');
my $key = $t->partner_key('acme', feeds => 'orders', publish => 'orders');
$t->ctl_ok({ stdin => join '', map { $t->event(id => "e$_",
    data => { marker => 'UNIQUEMARKER' }) . "\n" } 1 .. 300 }, 'publish',
    'orders');
ok($t->verify, 'a good store verifies');

my $format = $t->store . '/format';
my $good = slurp($format);

sub refused {
    my ($text, $line, $name) = @_;
    spew($format, $text);
    for my $command (['feed', 'list'], ['verify'], ['publish', 'orders']) {
        my ($rc, $out, $err) = $t->ctl(@$command);
        is($rc, 1, "$name: @$command is refused");
        like($err, qr/\Aeventsyncctl: $line.*\n\z/, "$name: @$command says why");
    }
    is(slurp($format), $text, "$name: and changes nothing");
}

my ($format_now) = $good =~ /^eventsync-store (\d+)$/m;
(my $newer = $good) =~ s/store \d+/store 9/;
refused($newer, '".*" is a store of format 9, but this program reads format '
    . $format_now . '$', 'a newer format');
refused("something else\n", '".*format" is not an eventsync format file',
    'a foreign file');
refused("eventsync-store $format_now\n", '".*" is damaged', 'half a format file');
spew($format, $good);

rename $t->store . '/log/data.mdb', $t->store . '/log/kept';
my ($rc, undef, $err) = $t->ctl('feed', 'list');
is($rc, 1, 'a store without its log is refused');
like($err, qr/data\.mdb" of the store is missing/, 'and says so');
ok(!-e $t->store . '/log/data.mdb', 'no empty log is made in its place');
spew($t->store . '/log/data.mdb', 'x' x 8192);
($rc, undef, $err) = $t->ctl('feed', 'list');
is($rc, 1, 'a log that is not LMDB is refused');
like($err, qr/cannot open ".*log": /, 'and says so');
rename $t->store . '/log/kept', $t->store . '/log/data.mdb';
ok($t->verify, 'put back, it is whole');

###############################################################################
# a flipped bit

my $data = slurp($t->store . '/log/data.mdb');
my $at = rindex $data, 'UNIQUEMARKER';
open my $fh, '+<:raw', $t->store . '/log/data.mdb' or die $!;
seek $fh, $at, 0;
print $fh chr(ord('U') ^ 1);
close $fh;

my $out;
($rc, $out, $err) = $t->ctl('verify');
is($rc, 1, 'verify finds a flipped bit');
like($out, qr/^feed orders: event \d+ does not match its hash$/m,
    'and names the event');

$t->default_conf;
$t->run_nginx;
$t->allow_errors(qr/./) if $t->can('allow_errors');
my ($bad, $body) = (0, '');
for my $after (0, 100, 200) {
    my $answer = $t->http(GET => '/v1/feeds/orders/events?limit=100&after='
        . epoch() . "-$after", { authorization => "Bearer $key" });
    $bad++ if $answer->{status} >= 500;
    $body .= $answer->{body};
}
is($bad, 1, 'the page with it is refused, the others are served');
unlike($body, qr/TNIQUEMARKER/, 'and the damaged bytes are not sent');

done_testing();

sub epoch {
    my ($epoch) = $t->ctl_ok('feed', 'show', 'orders') =~ /"epoch":"(\w+)"/;
    return $epoch;
}

sub slurp {
    my ($file) = @_;
    open my $in, '<:raw', $file or die "$file: $!";
    local $/;
    return scalar <$in>;
}

sub spew {
    my ($file, $text) = @_;
    open my $out, '>:raw', $file or die "$file: $!";
    print $out $text;
    close $out;
}
