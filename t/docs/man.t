#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# The man pages: they are made of the documentation, complete, and without
# warnings of groff; and make install brings them and the completion.

use warnings;
use strict;

use Encode qw(decode);
use File::Temp qw(tempdir);
use JSON::PP;
use Test::More;

for my $program (qw(lowdown man)) {
    plan skip_all => "$program(1) is not installed"
        if system("command -v $program >/dev/null") != 0;
}

my $build = $ENV{BUILD} // 'build';
my $dir = tempdir(CLEANUP => 1);
my @pages = split /\n/, `perl docs/man.pl --list`;
my %text;

for my $page (@pages) {
    is(system("perl docs/man.pl $page 1.2.3 > $dir/$page"), 0, "$page is made");
    my $warnings = `LC_ALL=C.UTF-8 MANWIDTH=100 MANOPT= MAN_KEEP_FORMATTING= man --warnings -l $dir/$page 2>&1 > $dir/$page.txt`;
    is($warnings, '', 'without warnings');
    open my $fh, '<:encoding(UTF-8)', "$dir/$page.txt" or die;
    local $/;
    $text{$page} = <$fh>;
    my ($name, $section) = $page =~ /^(.*)\.(\d)$/;
    like($text{$page}, qr/^NAME\n +\Q$name\E - \w/m, 'it says what it is');
    like($text{$page}, qr/^SEE ALSO\n(?:.*\n)*? +eventsync/m, 'and what else to read');
    like($text{$page}, qr/eventsync 1\.2\.3 +\d{4}-\d\d-\d\d +\U$name\E\($section\)\s*\z/,
        'of which version and day');
    is_deeply([ $text{$page} =~ /^.*(?:\]\(|\*\*|`|<a |\.md#|^\s*\|.*\|\s*$).*$/mg ], [],
        'and has nothing of Markdown');
}

# Words of the text as they are, without the breaks of lines.
sub words { return $_[0] =~ s/\x{2010}\n\s*//gr =~ s/-\n\s+/-/gr =~ s/\s+/ /gr }

for my $c (map { decode_json($_) } split /\n/, `$build/eventsyncctl help --json`) {
    my $said = words($text{'eventsyncctl.1'});
    my @missing = grep { $said !~ /(?<![\w-])\Q$_\E(?![\w-])/ } $c->{command},
        map { "--$_->{name}" } @{ $c->{options} };
    is_deeply(\@missing, [], "eventsyncctl.1 has $c->{command}");
}

my @missing = grep { words($text{'eventsync-dispatcher.8'}) !~ /^.* \Q$_\E\b/s }
    `$build/eventsync-dispatcher --help` =~ /^  (--[a-z0-9-]+)/mg;
is_deeply([ grep { !/^--(?:help|version)$/ } @missing ], [],
    'eventsync-dispatcher.8 has each option');

my ($directives) = join '', map { open my $fh, '<', $_ or die; local $/; <$fh> }
    glob 'ngx_module/*.c';
@missing = grep { words($text{'eventsync-directives.5'}) !~ / \Q$_\E / }
    $directives =~ /ngx_string\("(eventsync_\w+)"\),\s+NGX_/g;
is_deeply(\@missing, [], 'eventsync-directives.5 has each directive');

{
    local $ENV{SOURCE_DATE_EPOCH} = 86400;
    like(`perl docs/man.pl eventsyncctl.1 1.2.3`, qr/1970-01-02/,
        'the day can be given');
    is(`perl docs/man.pl eventsyncctl.1 1.2.3`, `perl docs/man.pl eventsyncctl.1 1.2.3`,
        'and a page is always the same');
}
isnt(system('perl docs/man.pl none.1 1.2.3 2>/dev/null'), 0, 'no other page');

done_testing();
